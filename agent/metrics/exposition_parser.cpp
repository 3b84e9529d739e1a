#include "agent/metrics/exposition_parser.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>
#include <utility>

#include "agent/base/text.h"

namespace msp::metrics {
namespace {

constexpr std::size_t kNone = std::string_view::npos;
constexpr std::size_t kNumberBytesMax = 128;
constexpr double kPowersOf10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8, 1e9,
                                  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

constexpr auto kNameChars = [] {
  std::array<bool, 256> table{};
  for (const char c :
       std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

/// Of a metric's name; a label's has no ':'.
bool is_name_char(char c) {
  return kNameChars[static_cast<unsigned char>(c)];
}

void skip_blanks(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

/// The name at the front of `text`, taken off it; empty where there is none.
std::string_view take_name(std::string_view& text) {
  std::size_t end = 0;
  if (!text.empty() && !is_digit(text.front())) {
    while (end < text.size() && is_name_char(text[end])) ++end;
  }
  const auto name = text.substr(0, end);
  text.remove_prefix(end);
  return name;
}

/// Up to the next blank, taken off `text`.
std::string_view take_word(std::string_view& text) {
  std::size_t end = 0;
  while (end < text.size() && !is_blank(text[end])) ++end;
  const auto word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

/// Where the quote that closes a string is, `text` beginning behind the one that opens it. One that
/// stands behind an odd number of backslashes is a part of the string.
std::size_t closing_quote(std::string_view text) {
  for (std::size_t from = 0;;) {
    const auto at = text.find('"', from);
    if (at == kNone) return kNone;
    auto first = at;
    while (first > from && text[first - 1] == '\\') --first;
    if ((at - first) % 2 == 0) return at;
    from = at + 1;
  }
}

/// The number at the front of `text`, where it is one of the many that are plain digits, with or
/// without a fraction: its bytes, or 0. Exact, for dividend and divisor are (Clinger, "How to Read
/// Floating Point Numbers Accurately", 1990).
std::size_t plain_number(std::string_view text, double& value) {
  constexpr std::uint64_t kExactMax = std::uint64_t{1} << 53;
  const bool is_negative = text.starts_with('-');
  std::uint64_t number = 0;
  auto at = std::size_t{is_negative};
  const auto take_digits = [&] {
    const auto first = at;
    for (; at < text.size() && is_digit(text[at]); ++at) {
      number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
    }
    return at - first;
  };
  const auto whole = take_digits();
  std::size_t fraction = 0;
  if (whole > 0 && at < text.size() && text[at] == '.') {
    ++at;
    fraction = take_digits();
    if (fraction == 0) return 0;
  }
  if (whole == 0 || whole + fraction >= std::size(kPowersOf10) || number > kExactMax) return 0;
  value = static_cast<double>(number);
  if (fraction > 0) value /= kPowersOf10[fraction];
  if (is_negative) value = -value;
  return at;
}

/// What is not one of the three escapes stays as it is, backslash and all, as for Prometheus.
[[gnu::cold]] std::string unescaped(std::string_view text, bool has_quotes) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 'n') {
      out += '\n';
    } else if (next == '\\' || (next == '"' && has_quotes)) {
      out += next;
    } else {
      out += text[i];
      continue;
    }
    ++i;
  }
  return out;
}

/// A name in quotes may have any characters; receivers know letters, digits and '_' only, and what
/// else there is becomes '_', as for "escaping=underscores".
[[gnu::cold]] std::string plain_name(std::string_view name, bool is_metric) {
  std::string plain;
  while (!name.empty()) {
    const auto bytes = first_character(name).bytes;
    const char c = name.front();
    const bool is_plain =
        bytes == 1 && is_name_char(c) && !(is_digit(c) && plain.empty()) && (is_metric || c != ':');
    plain += is_plain ? c : '_';
    name.remove_prefix(bytes);
  }
  return plain;
}

bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() &&
         std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? static_cast<char>(x + ('a' - 'A')) : x) == y;
         });
}

std::optional<std::int64_t> parse_timestamp(std::string_view text, ExpositionFormat format) {
  if (format == ExpositionFormat::text) return parse_number<std::int64_t>(text);
  constexpr double kMsPerSecond = 1000;
  const auto seconds = parse_sample_value(text);
  if (!seconds || !(std::fabs(*seconds) < 1e15)) return std::nullopt;
  return static_cast<std::int64_t>(*seconds * kMsPerSecond);
}

/// The labels between the braces of a series.
class LabelReader {
 public:
  LabelReader(std::string_view inside, std::vector<Label>& out) : rest_(inside), out_(out) {}

  [[gnu::cold]] Result<void> read() {
    skip_blanks(rest_);
    while (!rest_.empty()) {
      if (auto one = read_one(); !one) return one;
      skip_blanks(rest_);
      if (rest_.empty()) break;
      if (rest_.front() != ',') return failed("no comma between two labels");
      rest_.remove_prefix(1);
      skip_blanks(rest_);
    }
    return {};
  }

 private:
  [[gnu::cold]] Result<void> read_one() {
    const bool is_quoted = rest_.front() == '"';
    std::string name;
    if (is_quoted) {
      const auto text = take_quoted();
      if (!text) return failed("a name in quotes that has no end");
      if (!is_utf8(*text)) return failed("a name that is not UTF-8");
      name = unescaped(*text, true);
    } else {
      name = take_name(rest_);
    }
    skip_blanks(rest_);
    const bool has_value = rest_.starts_with('=');
    if (!has_value && is_quoted && !name.empty())
      return add(std::string(kMetricName), plain_name(name, true));
    if (name.empty() || !has_value || (!is_quoted && name.find(':') != kNone)) {
      return failed("a name that no label can have");
    }
    rest_.remove_prefix(1);
    skip_blanks(rest_);
    if (!rest_.starts_with('"')) return failed("a label's value that is not in quotes");
    const auto value = take_quoted();
    if (!value) return failed("a label's value that has no end");
    if (!is_utf8(*value)) return failed("a label's value that is not UTF-8");
    return add(plain_name(name, false), unescaped(*value, true));
  }

  [[gnu::cold]] std::optional<std::string_view> take_quoted() {
    rest_.remove_prefix(1);
    const auto end = closing_quote(rest_);
    if (end == kNone) return std::nullopt;
    const auto text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  [[gnu::cold]] Result<void> add(std::string name, std::string value) {
    if (out_.size() >= ExpositionParser::kLabelsMax) {
      return failed(cat("more than ", ExpositionParser::kLabelsMax, " labels"));
    }
    const auto is_same = [&](const Label& label) { return label.name == name; };
    if (std::any_of(out_.begin(), out_.end(), is_same)) {
      return failed(name == kMetricName ? std::string("two names")
                                        : cat("the label ", name, " twice"));
    }
    out_.push_back({std::move(name), std::move(value)});
    return {};
  }

  std::string_view rest_;
  std::vector<Label>& out_;
};

/// Of what OpenMetrics has beside our types, an info and a state set are gauges of 0 and 1.
[[gnu::cold]] MetricType type_of(std::string_view word) {
  for (const auto type :
       {MetricType::counter, MetricType::gauge, MetricType::histogram, MetricType::summary}) {
    if (word == metric_type_name(type)) return type;
  }
  return word == "info" || word == "stateset" ? MetricType::gauge : MetricType::untyped;
}

/// Whether a family of this type has series of its name and that suffix.
[[gnu::cold]] bool may_have_suffix(std::string_view type, std::string_view suffix,
                                   ExpositionFormat format) {
  const bool is_histogram = type == "histogram";
  if (suffix == "_bucket") return is_histogram || type == "gaugehistogram";
  if (suffix == "_sum" || suffix == "_count") return is_histogram || type == "summary";
  if (format == ExpositionFormat::text) return false;
  if (suffix == "_total") return type == "counter";
  if (suffix == "_info") return type == "info";
  return (suffix == "_gsum" || suffix == "_gcount") && type == "gaugehistogram";
}

[[gnu::cold]] std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xc0) == 0x80) --bytes_max;
  return text.substr(0, bytes_max);
}

}  // namespace

ExpositionFormat exposition_format(std::string_view content_type) {
  content_type = trim(content_type.substr(0, content_type.find(';')));
  return equals_ignoring_case(content_type, "application/openmetrics-text")
             ? ExpositionFormat::open_metrics
             : ExpositionFormat::text;
}

std::optional<double> parse_sample_value(std::string_view text) {
  double value = 0;
  if (plain_number(text, value) == text.size() && !text.empty()) return value;
  const bool is_negative = text.starts_with('-');
  const auto digits = text.substr(text.starts_with('+') || is_negative ? 1 : 0);
  if (digits.empty()) return std::nullopt;
  if (!is_digit(digits.front()) && digits.front() != '.') {
    constexpr auto kInfinity = std::numeric_limits<double>::infinity();
    if (equals_ignoring_case(digits, "inf") || equals_ignoring_case(digits, "infinity")) {
      return is_negative ? -kInfinity : kInfinity;
    }
    if (equals_ignoring_case(text, "nan")) return std::numeric_limits<double>::quiet_NaN();
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || error == std::errc::invalid_argument) {
    return std::nullopt;
  }
  if (error != std::errc{}) {
    // Too large, or so small that it is 0: strtod(3) tells them apart.
    if (digits.size() > kNumberBytesMax) return std::nullopt;
    value = std::strtod(std::string(digits).c_str(), nullptr);
  }
  if (std::isinf(value)) return std::nullopt;
  return is_negative ? -value : value;
}

std::string normalized_number(std::string_view text) {
  const auto value = parse_sample_value(text);
  if (!value) return std::string(text);
  if (std::isnan(*value)) return "NaN";
  if (std::isinf(*value)) return *value > 0 ? "+Inf" : "-Inf";
  // Go's 'g' with the fewest digits that read back the same: an exponent below -4 and from 6 on.
  auto out = number_text(*value, NumberForm::scientific);
  const auto exponent = std::atoi(out.c_str() + out.find('e') + 1);
  if (exponent >= -4 && exponent < 6) out = number_text(*value, NumberForm::fixed);
  if (out.find_first_of("e.") == kNone) out += ".0";
  return out;
}

std::optional<ExpositionParser::Sample> ExpositionParser::next(std::string_view expected) {
  while (!has_end_) {
    if (auto sample = next_expected(expected)) return sample;
    const auto line = next_line(rest_);
    if (!line) return std::nullopt;
    ++line_number_;
    line_ = *line;
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    auto begin = line_;
    skip_blanks(begin);
    if (begin.empty()) continue;
    if (begin.front() == '#') {
      if (options_.format == ExpositionFormat::open_metrics && is_end_of_text(begin)) {
        has_end_ = true;
        if (rest_.find_first_not_of(" \t\r\n") != kNone) {
          ++line_number_;
          line_ = rest_.substr(0, rest_.find('\n'));
          bad("text behind '# EOF'");
        }
      }
      continue;
    }
    Sample sample;
    if (!next_sample(begin, expected, sample)) continue;
    ++good_lines_;
    series_ = sample.series;
    return sample;
  }
  return std::nullopt;
}

/// Of the next line, where it is as nearly all are: the series, one blank and a plain number.
std::optional<ExpositionParser::Sample> ExpositionParser::next_expected(std::string_view expected) {
  if (expected.empty() || !rest_.starts_with(expected)) return std::nullopt;
  auto rest = rest_.substr(expected.size());
  if (!rest.starts_with(' ')) return std::nullopt;
  rest.remove_prefix(1);
  Sample sample{.series = rest_.substr(0, expected.size()), .is_expected = true};
  const auto bytes = plain_number(rest, sample.value);
  if (bytes == 0 || bytes >= rest.size() || rest[bytes] != '\n') return std::nullopt;
  ++line_number_;
  ++good_lines_;
  line_ = rest_.substr(0, expected.size() + 1 + bytes);
  series_ = sample.series;
  rest_ = rest.substr(bytes + 1);
  return sample;
}

bool ExpositionParser::is_end_of_text(std::string_view line) {
  line.remove_prefix(1);
  skip_blanks(line);
  return take_word(line) == "EOF" && trim(line).empty();
}

/// `end` is where the value may begin.
bool ExpositionParser::end_of_series(std::string_view line, std::size_t& end) {
  auto rest = line;
  const auto name = take_name(rest);
  auto behind = rest;
  skip_blanks(behind);
  if (!behind.starts_with('{')) {
    end = name.size();
    if (name.empty()) {
      bad("a name that no metric can have");
    } else if (!rest.empty() && !is_blank(rest.front())) {
      bad("a name that no metric can have");
      return false;
    }
    return !name.empty();
  }
  std::size_t at = 1;
  while (at < behind.size() && behind[at] != '}') {
    if (behind[at++] != '"') continue;
    const auto quote = closing_quote(behind.substr(at));
    at = quote == kNone ? behind.size() : at + quote + 1;
  }
  if (at >= behind.size()) {
    bad("labels that have no end");
    return false;
  }
  end = line.size() - behind.size() + at + 1;
  return true;
}

/// Whether end_of_series() would find that `line` begins with `expected`, a series that it has found
/// in another line: what it looks at ends with the brace that closes, or else with what is behind
/// the name.
bool ExpositionParser::begins_with(std::string_view line, std::string_view expected) {
  if (expected.empty() || !line.starts_with(expected)) return false;
  if (expected.back() == '}') return true;
  line.remove_prefix(expected.size());
  if (line.empty() || !is_blank(line.front())) return line.empty();
  skip_blanks(line);
  return !line.starts_with('{');
}

bool ExpositionParser::next_sample(std::string_view line, std::string_view expected,
                                   Sample& sample) {
  std::size_t end = 0;
  sample.is_expected = begins_with(line, expected);
  if (sample.is_expected) {
    end = expected.size();
  } else if (!end_of_series(line, end)) {
    return false;
  }
  sample.series = line.substr(0, end);
  line.remove_prefix(end);
  skip_blanks(line);
  const auto value = parse_sample_value(take_word(line));
  if (!value) {
    bad("no number for a value");
    return false;
  }
  sample.value = *value;
  skip_blanks(line);
  // Behind a '#' there is an exemplar or a remark.
  if (line.empty() || line.front() == '#') return true;
  sample.timestamp_ms = parse_timestamp(take_word(line), options_.format);
  if (!sample.timestamp_ms) {
    bad("no timestamp behind the value");
    return false;
  }
  skip_blanks(line);
  if (line.empty() || line.front() == '#') return true;
  bad("text behind the timestamp");
  return false;
}

void ExpositionParser::bad(std::string_view reason) {
  if (++bad_lines_ > 1) return;
  first_bad_line_ = cat("line ", line_number_, ": ", reason);
  if (options_.shows_lines) first_bad_line_ += cat(": ", quoted(trim(line_), kQuotedBytesMax));
}

void ExpositionParser::reject(std::string_view reason) {
  --good_lines_;
  bad(reason);
}

Result<NewSeries> ExpositionParser::series() {
  NewSeries made;
  auto rest = series_;
  const auto name = take_name(rest);
  if (!name.empty()) made.labels.push_back({std::string(kMetricName), std::string(name)});
  skip_blanks(rest);
  if (!rest.empty()) {
    rest.remove_prefix(1);
    rest.remove_suffix(1);
    if (auto read = LabelReader(rest, made.labels).read(); !read) return read.error();
  }
  const auto is_name = [](const Label& label) { return label.name == kMetricName; };
  const auto named = std::find_if(made.labels.begin(), made.labels.end(), is_name);
  if (named == made.labels.end() || named->value.empty()) return failed("no name");
  if (plain_name(named->value, true) != named->value)
    return failed("a name that no metric can have");
  made.desc = desc_of(named->value);
  if (!options_.normalizes || !made.desc) return made;
  const bool is_histogram = made.desc->type == MetricType::histogram;
  if (!is_histogram && made.desc->type != MetricType::summary) return made;
  for (auto& label : made.labels) {
    if (label.name == (is_histogram ? "le" : "quantile")) {
      label.value = normalized_number(label.value);
    }
  }
  return made;
}

/// Every "# TYPE" and "# HELP" of the text. The last one counts, wherever it stands.
void ExpositionParser::find_families() {
  knows_families_ = true;
  struct Comment {
    std::string_view name;
    std::string_view text;
    bool is_type;
  };
  std::vector<Comment> comments;
  for (auto rest = text_; const auto found = next_line(rest);) {
    auto line = *found;
    if (line.ends_with('\r')) line.remove_suffix(1);
    skip_blanks(line);
    if (!line.starts_with('#')) continue;
    line.remove_prefix(1);
    if (line.empty() || !is_blank(line.front())) continue;
    skip_blanks(line);
    const auto keyword = take_word(line);
    if (keyword != "TYPE" && keyword != "HELP") continue;
    skip_blanks(line);
    auto name = take_word(line);
    if (name.size() > 2 && name.front() == '"' && name.back() == '"') {
      name = name.substr(1, name.size() - 2);
    }
    skip_blanks(line);
    if (!name.empty()) comments.push_back({name, line, keyword == "TYPE"});
  }
  // Of one name in the order of the text.
  std::sort(comments.begin(), comments.end(), [](const Comment& a, const Comment& b) {
    const int order = a.name.compare(b.name);
    return order != 0 ? order < 0 : a.name.data() < b.name.data();
  });
  for (const auto& comment : comments) {
    if (families_.empty() || families_.back().name != comment.name) {
      families_.push_back({.name = comment.name, .type = {}, .help = {}});
    }
    (comment.is_type ? families_.back().type : families_.back().help) =
        comment.is_type ? trim(comment.text) : comment.text;
  }
}

ExpositionParser::Family* ExpositionParser::find_family(std::string_view name) {
  const auto found = std::lower_bound(
      families_.begin(), families_.end(), name,
      [](const Family& family, std::string_view wanted) { return family.name < wanted; });
  return found != families_.end() && found->name == name ? &*found : nullptr;
}

ExpositionParser::Family* ExpositionParser::family_of(std::string_view series_name) {
  if (auto* const family = find_family(series_name)) return family;
  const auto suffix_at = series_name.rfind('_');
  if (suffix_at == kNone || suffix_at == 0) return nullptr;
  auto* const family = find_family(series_name.substr(0, suffix_at));
  const bool has_it = family != nullptr &&
                      may_have_suffix(family->type, series_name.substr(suffix_at), options_.format);
  return has_it ? family : nullptr;
}

DescPtr ExpositionParser::desc_of(std::string_view series_name) {
  if (!knows_families_) find_families();
  auto* const family = family_of(series_name);
  if (family == nullptr) return nullptr;
  const auto type = type_of(family->type);
  const bool has_suffixes = type == MetricType::histogram || type == MetricType::summary;
  // A counter of OpenMetrics is, with its suffix, what it is in the text format.
  const auto name = has_suffixes ? family->name : series_name;
  if (!family->desc || family->desc->name != name) {
    family->desc =
        make_desc(std::string(name), unescaped(cut(family->help, kHelpBytesMax), false), type);
  }
  return family->desc;
}

Result<void> ExpositionParser::verdict() const {
  if (options_.format == ExpositionFormat::open_metrics && !has_end_) {
    return failed("the text is cut off: its last line is not '# EOF', as OpenMetrics wants it");
  }
  if (good_lines_ == 0 && bad_lines_ > 0) {
    return failed(cat("none of its lines is a sample; ", first_bad_line_));
  }
  return {};
}

}  // namespace msp::metrics
