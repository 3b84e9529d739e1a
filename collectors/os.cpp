// os: the distribution, from /etc/os-release, or from /usr/lib/os-release where that is missing
// (os-release(5)):
//   PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
//   VERSION_ID="12"
//   ID=debian
#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/label_text.h"
#include "collectors/replaced_file.h"

namespace msp::collectors {
namespace {

constexpr std::string_view kSource = "/etc/os-release, /usr/lib/os-release";
constexpr MetricDesc kInfo{
    "node_os_info",
    "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, "
    "name, pretty_name, variant, variant_id, version, version_codename, version_id.",
    kSource, MetricType::gauge,
    "build_id,id,id_like,image_id,image_version,name,pretty_name,variant,variant_id,version,"
    "version_codename,version_id"};
constexpr MetricDesc kVersion{"node_os_version",
                              "Metric containing the major.minor part of the OS version.", kSource,
                              MetricType::gauge, "id,id_like,name"};
constexpr MetricDesc kSupportEnd{"node_os_support_end_timestamp_seconds",
                                 "Metric containing the end-of-life date timestamp of the OS.",
                                 kSource};

// In the order of node_os_info's labels, SUPPORT_END behind them.
enum Key {
  build_id,
  id,
  id_like,
  image_id,
  image_version,
  name,
  pretty_name,
  variant,
  variant_id,
  version,
  version_codename,
  version_id,
  support_end,
  kKeys
};
constexpr std::string_view kNames[kKeys] = {
    "BUILD_ID",    "ID",      "ID_LIKE",    "IMAGE_ID", "IMAGE_VERSION",    "NAME",
    "PRETTY_NAME", "VARIANT", "VARIANT_ID", "VERSION",  "VERSION_CODENAME", "VERSION_ID",
    "SUPPORT_END"};

/// The right side of an assignment as a shell takes it, but with spaces that are not quoted, as
/// node_exporter has it.
std::string unquoted(std::string_view text) {
  std::string value;
  std::size_t kept = 0;  // up to the last character that is quoted or no space
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote == '\0' && c == '#') break;
    if (c == quote || (quote == '\0' && (c == '"' || c == '\''))) {
      quote = c == quote ? '\0' : c;
      continue;
    }
    const bool is_escape = c == '\\' && quote == '"' && i + 1 < text.size() &&
                           std::string_view("\"\\$`").find(text[i + 1]) != text.npos;
    value += is_escape ? text[++i] : c;
    if (quote != '\0' || c != ' ') kept = value.size();
  }
  value.resize(kept);
  return value;
}

/// "22.04" of "22.04.3" as a number; 0 where there is none.
double major_minor(std::string_view version) {
  auto end = version.find_first_not_of("0123456789");
  if (end != version.npos && version[end] == '.' && end > 0) {
    end = version.find_first_not_of("0123456789", end + 1);
  }
  return parse_number<double>(version.substr(0, end)).value_or(0);
}

/// "2028-06-30" in seconds since 1970.
std::optional<double> parse_date(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = parse_number<unsigned>(text.substr(0, 4));
  const auto month = parse_number<unsigned>(text.substr(5, 2));
  const auto day = parse_number<unsigned>(text.substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  return static_cast<double>(
      std::chrono::seconds(std::chrono::sys_days(date).time_since_epoch()).count());
}

class Os : public Collector {
 public:
  explicit Os(const CollectorContext& context)
      : files_{ReplacedFile(context.paths.root("/etc/os-release")),
               ReplacedFile(context.paths.root("/usr/lib/os-release"))} {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    std::size_t file = 0;
    auto is_new = files_[file].look();
    if (!is_new && is_new.error().kind == Error::Kind::no_data) is_new = files_[++file].look();
    if (!is_new) return is_new.error();
    if (*is_new || file != file_) learn(file);
    if (!has_key_) {
      return failed(cat(files_[file].path(), ": no known key", got(files_[file].content())));
    }
    if (!garbled_.empty()) {
      out.complaints().garbled(files_[file].path(), garbled_, "a line of text",
                               {"a label of node_os_info"});
    }
    const auto& v = values_;
    out.add(kInfo,
            {v[build_id], v[id], v[id_like], v[image_id], v[image_version], v[name], v[pretty_name],
             v[variant], v[variant_id], v[version], v[version_codename], v[version_id]},
            1);
    if (version_ > 0) out.add(kVersion, {v[id], v[id_like], v[name]}, version_);
    if (v[support_end].empty()) return {};
    if (const auto seconds = parse_date(v[support_end])) {
      out.add(kSupportEnd, *seconds);
    } else {
      out.complaints().garbled(files_[file].path(), v[support_end], "a date", {kSupportEnd.name});
    }
    return {};
  }

 private:
  void learn(std::size_t file) {
    file_ = file;
    has_key_ = false;
    values_ = {};
    garbled_.clear();
    for (std::string_view rest = files_[file].content(); const auto line = next_line(rest);) {
      const auto equals = line->find('=');
      const auto* const known =
          std::find(std::begin(kNames), std::end(kNames), trim(line->substr(0, equals)));
      if (equals == line->npos || known == std::end(kNames)) continue;
      has_key_ = true;
      auto value = unquoted(trim(line->substr(equals + 1)));
      auto& place =
          has_control(value) ? garbled_ : values_[static_cast<std::size_t>(known - kNames)];
      place = std::move(value);
    }
    version_ = major_minor(values_[version_id]);
  }

  ReplacedFile files_[2];
  std::size_t file_ = 0;  // that values_ is of
  std::array<std::string, kKeys> values_;
  std::string garbled_;  // a value that is none; empty: there is none
  bool has_key_ = false;
  double version_ = 0;
};

}  // namespace

CollectorType os_collector() {
  return {make_collector<Os>};
}

}  // namespace msp::collectors
