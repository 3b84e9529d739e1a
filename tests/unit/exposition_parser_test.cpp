#include "agent/metrics/exposition_parser.h"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <random>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"

namespace msp {
namespace {

constexpr auto kOpenMetrics = metrics::ExpositionFormat::open_metrics;

/// What became of a text: its samples as lines, the bad lines counted, the verdict.
struct Parsed {
  std::string samples;  // each followed by "; "
  std::size_t bad = 0;
  std::string first_bad;
  std::string verdict;  // empty: good
};

Parsed parse(std::string_view text, metrics::ExpositionOptions options = {}) {
  Parsed parsed;
  metrics::ExpositionParser parser(text, options);
  std::size_t good = 0;
  while (const auto sample = parser.next()) {
    auto series = parser.series();
    if (!series) {
      parser.reject(series.error().text);
      continue;
    }
    ++good;
    parsed.samples += metrics::series_text({metrics::Labels(series->labels), series->desc});
    parsed.samples += cat(" ", metrics::text_value(sample->value));
    if (sample->timestamp_ms) parsed.samples += cat(" @", *sample->timestamp_ms);
    parsed.samples += "; ";
  }
  CHECK(parser.good_lines() == good);
  parsed.bad = parser.bad_lines();
  parsed.first_bad = parser.first_bad_line();
  if (const auto verdict = parser.verdict(); !verdict) parsed.verdict = verdict.error().text;
  return parsed;
}

/// The type of each series, and its metric's name.
std::string types(std::string_view text,
                  metrics::ExpositionFormat format = metrics::ExpositionFormat::text) {
  std::string out;
  metrics::ExpositionParser parser(text, {.format = format});
  while (parser.next()) {
    const auto series = parser.series();
    REQUIRE(series.has_value());
    out += series->desc ? cat(metrics::metric_type_name(series->desc->type), " ",
                              series->desc->name, " '", series->desc->help, "'; ")
                        : std::string("none; ");
  }
  return out;
}

struct Case {
  std::string_view text;
  std::string_view samples;
  std::size_t bad = 0;
};

void check(std::initializer_list<Case> cases, metrics::ExpositionOptions options = {}) {
  for (const auto& one : cases) {
    INFO("text: " << visible(one.text));
    const auto parsed = parse(one.text, options);
    CHECK(parsed.samples == one.samples);
    CHECK(parsed.bad == one.bad);
  }
}

}  // namespace

TEST_CASE("exposition parser: what is tolerated around a line") {
  check({
      {"a 1", "a 1; "},  // no newline at the end
      {"a 1\r\nb{c=\"d\"} 2\r\n", "a 1; b{c=\"d\"} 2; "},
      {"  a 1\n\tb 2\n", "a 1; b 2; "},
      {"a\t1\na  \t 2\na {b=\"c\"} 3\na{b=\"c\"}4\n", "a 1; a 2; a{b=\"c\"} 3; a{b=\"c\"} 4; "},
      {"a{ b = \"c\" ,\td=\"e\" } 1\n", "a{b=\"c\",d=\"e\"} 1; "},
      {"a 1 \t\na 1 5 \n", "a 1; a 1 @5; "},
      {"\n\n  \na 1\n\n", "a 1; "},
      {"", ""},
      {"#\n# any text\n#TYPE a\n# EOF\na 1\n", "a 1; "},
      {"a{} 1\n", "a 1; "},
  });
}

TEST_CASE("exposition parser: values as Go reads them") {
  check({
      {"a +1\na .5\na 5.\na -0\na 1e3\na -1.5E-3\n", "a 1; a 0.5; a 5; a -0; a 1000; a -0.0015; "},
      {"a nan\na NaN\na +Inf\na inf\na -INF\na Infinity\na -infinity\n",
       "a NaN; a NaN; a +Inf; a +Inf; a -Inf; a +Inf; a -Inf; "},
      {"a 0x1F\na 1_0\na true\na 1e400\na -1e400\na +-1\na -nan\na .\na 1,5\na nan(1)\n", "", 10},
      {"a 1e-400\na 4.9e-324\n", "a 0; a 5e-324; "},
      {"a\na \na{b=\"c\"}\na{b=\"c\"} \n", "", 4},
      {"a 9007199254740993\na 0.1\na 1.7976931348623157e308\n",
       "a 9007199254740992; a 0.1; a 1.7976931348623157e+308; "},
  });
  const auto nan = metrics::parse_sample_value("NaN");
  REQUIRE(nan.has_value());
  CHECK(std::isnan(*nan));
  CHECK_FALSE(metrics::is_stale_marker(*nan));
}

TEST_CASE("exposition parser: plain numbers are what strtod(3) reads") {
  std::mt19937_64 random(1);
  const auto below = [&](std::uint64_t n) { return random() % n; };
  std::vector<std::string> texts = {
      "9007199254740992",    "9007199254740993",   "-0", "-0.0", "0.1", "123456789012345678",
      "1234567890123456789", "0000000000000000001"};
  for (int i = 0; i < 100'000; ++i) {
    std::string text = below(4) == 0 ? "-" : "";
    for (auto digits = 1 + below(20); digits > 0; --digits)
      text += static_cast<char>('0' + below(10));
    if (below(2) == 0) {
      text += '.';
      for (auto digits = 1 + below(20); digits > 0; --digits)
        text += static_cast<char>('0' + below(10));
    }
    texts.push_back(std::move(text));
  }
  std::string others;
  for (const auto& text : texts) {
    const auto value = metrics::parse_sample_value(text);
    const auto exact = std::bit_cast<std::uint64_t>(std::strtod(text.c_str(), nullptr));
    if (!value || std::bit_cast<std::uint64_t>(*value) != exact) others += text + " ";
  }
  CHECK(others.empty());
}

TEST_CASE("exposition parser: what is expected is only recognized where it is there") {
  struct Row {
    std::string_view text, expected, series;
    double value;
    bool is_expected;
  };
  const Row rows[] = {
      {"a 1\n", "a", "a", 1, true},
      {"a 1", "a", "a", 1, true},
      {"a\t 1.5 \r\n", "a", "a", 1.5, true},
      {"a -1e3\n", "a", "a", -1000, true},
      {"a 1 1700000000000\n", "a", "a", 1, true},
      {"a 12345678901234567890\n", "a", "a", 12345678901234567890.0, true},
      {"ab 1\n", "a", "ab", 1, false},
      {"a{b=\"c\"} 1\n", "a", "a{b=\"c\"}", 1, false},
      {"a {b=\"c\"} 1\n", "a", "a {b=\"c\"}", 1, false},
      {"a{b=\"c\"} 1\n", "a{b=\"c\"}", "a{b=\"c\"}", 1, true},
      {"a{b=\"c\"}1\n", "a{b=\"c\"}", "a{b=\"c\"}", 1, true},
      {"a{b=\"c\",d=\"}\"} 1\n", "a{b=\"c\"}", "a{b=\"c\",d=\"}\"}", 1, false},
      {"# TYPE a gauge\n\na 1\n", "a", "a", 1, true},
      {"bad\na 1\n", "a", "a", 1, true},
      {"b 1\n", "", "b", 1, false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text, row.expected);
    metrics::ExpositionParser parser(row.text);
    const auto sample = parser.next(row.expected);
    REQUIRE(sample.has_value());
    CHECK(sample->series == row.series);
    CHECK(sample->value == row.value);
    CHECK(sample->is_expected == row.is_expected);
    CHECK(sample->timestamp_ms.has_value() == (row.text.find("1700000000000") != row.text.npos));
    CHECK_FALSE(parser.next(row.expected).has_value());
  }
}

TEST_CASE("exposition parser: timestamps") {
  check({
      {"a 1 1700000000123\na 1 -5\n", "a 1 @1700000000123; a 1 @-5; "},
      {"a 1 1.5\na 1 12345678901234567890\na 1 x\na 1 2 3\n", "", 4},
  });
  check({{"a 1 1.5\na 1 1700000000.123\na 1 -1\n# EOF",
          "a 1 @1500; a 1 @1700000000123; a 1 @-1000; "},
         {"a 1 NaN\na 1 Inf\na 1 1e300\n# EOF", "", 3}},
        {.format = kOpenMetrics});
}

TEST_CASE("exposition parser: labels") {
  check({
      {"a{b=\"c\",} 1\n", "a{b=\"c\"} 1; "},
      {"a{,} 1\na{b=\"c\",,} 1\na{b=\"c\",,d=\"e\"} 1\n", "", 3},
      {"a{b=\"c\" d=\"e\"} 1\na{b=\"c\"d=\"e\"} 1\n", "", 2},
      {"a{b=\"c\",b=\"d\"} 1\n", "", 1},
      {"a{b=\"\"} 1\n", "a 1; "},
      {"a{b=\"\\\\ \\\" \\n \\t \\x\"} 1\n", "a{b=\"\\\\ \\\" \\n \\\\t \\\\x\"} 1; "},
      {"a{b=\"}\",c=\"{,=#\"} 1\n", "a{b=\"}\",c=\"{,=#\"} 1; "},
      {"a{__name__=\"z\"} 1\n", "", 1},
      {"{__name__=\"z\"} 1\n", "z 1; "},
      {"{a=\"z\"} 1\n", "", 1},
      {"a{b=c} 1\na{b} 1\na{b=} 1\na{=\"c\"} 1\na{1b=\"c\"} 1\na{b:c=\"d\"} 1\n", "", 6},
      {"a{b=\"c\n", "", 1},
      {"a{b=\"c\\\"} 1\n", "", 1},
      {"a{b=\"c\" 1\n", "", 1},
      {"a{b=\"\xff\"} 1\na{b=\"\xed\xa0\x80\"} 1\n", "", 2},
      {"a{b=\"\xec\x84\x9c\"} 1\n", "a{b=\"\xec\x84\x9c\"} 1; "},
  });
  // A newline inside of quotes ends the line as any other: neither half is a series.
  check({{"a{b=\"x\ny\"} 1\n", "", 2}});
}

TEST_CASE("exposition parser: names") {
  check({
      {"a.b 1\na-b 1\n1a 1\n=a 1\n\xec\x84\x9c 1\n", "", 5},
      {"a:b_C9 1\n:a 1\n_ 1\n", "a:b_C9 1; :a 1; _ 1; "},
      {"{\"a.b\",\"c.d\"=\"e\"} 1\na{\"x y\"=\"z\"} 1\n", "a_b{c_d=\"e\"} 1; a{x_y=\"z\"} 1; "},
      {"{\"9a\"} 1\n{\"\xec\x84\x9c:a\", \"b:c\"=\"d\"} 1\n", "_a 1; _:a{b_c=\"d\"} 1; "},
      {"a{\"b\"} 1\n{\"a\",\"b\"} 1\n{\"\"} 1\n{\"a\n", "", 4},
      {"a{\"b.c\"=\"1\",b_c=\"2\"} 1\n", "", 1},
  });
}

TEST_CASE("exposition parser: what is no metric at all") {
  check({
      {"\xef\xbb\xbf"
       "a 1\nb 2\n",
       "b 2; ", 1},
      {std::string_view("a 1\0\nb 2\n", 9), "b 2; ", 1},
      {"<html>\n<body>404 a 1</body>\n", "", 2},
      {"a 1 # {trace_id=\"x\"} 0.5\na 2 # text\na 3 5 # {a=\"}\"} 1 2\n", "a 1; a 2; a 3 @5; "},
  });
  CHECK(parse("<html>\n").verdict ==
        "none of its lines is a sample; line 1: a name that no metric can have: '<html>'");
  CHECK(parse("<html>\na 1\n").verdict.empty());
  CHECK(parse("# nothing\n").verdict.empty());
}

TEST_CASE("exposition parser: the first bad line is shown, escaped and cut") {
  CHECK(parse("a 1\nb\x1b[31m \xff\n\nc\n").first_bad ==
        "line 2: a name that no metric can have: 'b\\x1b[31m \\xff'");
  CHECK(parse("b\x1b s3cret\n", {.shows_lines = false}).first_bad ==
        "line 1: a name that no metric can have");
  const auto bad = parse(cat("a{b=\"", std::string(100'000, 'x'), "\"} z\n")).first_bad;
  CHECK(bad.size() < 150);
  CHECK(bad.ends_with("...'"));
  std::string many = "a{";
  for (int i = 0; i < 30; ++i) many += cat("l", i, "=\"v\",");
  CHECK(parse(many + "} 1\n").first_bad.starts_with("line 1: more than 30 labels: 'a{l0="));
}

TEST_CASE("exposition parser: the types and texts of families") {
  CHECK(types("# HELP a Some\\n \\\\ \\\" text.\n# TYPE a counter\na 1\nb 2\n") ==
        "counter a 'Some\n \\ \\\" text.'; none; ");
  // Interleaved, twice, and behind its samples: the last one counts.
  CHECK(types("# TYPE a counter\na 1\n# TYPE b gauge\nb 1\na{x=\"y\"} 2\n# TYPE a gauge\n") ==
        "gauge a ''; gauge b ''; gauge a ''; ");
  CHECK(types("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\nh_max 1\n"
              "# TYPE s summary\ns{quantile=\"1\"} 1\ns_sum 1\ns_bucket 1\n") ==
        "histogram h ''; histogram h ''; histogram h ''; none; "
        "summary s ''; summary s ''; none; ");
  CHECK(
      types(
          "# TYPE a unknown\n# TYPE b\n# TYPE c info \n# TYPE d stateset\n\t#\t TYPE  e\tgauge\r\n"
          "a 1\nb 1\nc 1\nd 1\ne 1\n") ==
      "untyped a ''; untyped b ''; gauge c ''; gauge d ''; gauge e ''; ");
  CHECK(types("# HELP a\na 1\n") == "untyped a ''; ");
  CHECK(types("# HELP a \xff\na 1\n") == "untyped a '\xef\xbf\xbd'; ");
  CHECK(types("# TYPE \"a.b\" counter\n{\"a.b\"} 1\n") == "none; ");
  CHECK(types("# TYPE a counter\na_total 1\n") == "none; ");
  CHECK(types("# TYPE a counter\n# HELP a Help.\na_total 1\na_created 1\n# EOF\n", kOpenMetrics) ==
        "counter a_total 'Help.'; none; ");
  CHECK(types("# TYPE a_total counter\na_total 1\n# TYPE i info\ni_info 1\n# EOF\n",
              kOpenMetrics) == "counter a_total ''; gauge i_info ''; ");
  const auto help = types(cat("# HELP a ", std::string(5000, 'x'), "\na 1\n"));
  CHECK(help.size() ==
        metrics::ExpositionParser::kHelpBytesMax + std::string("untyped a ''; ").size());
}

TEST_CASE("exposition parser: le and quantile as Prometheus 3 writes them, under their type only") {
  constexpr std::string_view kHistogram =
      "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\",quantile=\"1\"} 1\n"
      "other{le=\"1\",quantile=\"1\"} 1\n# TYPE s summary\ns{quantile=\"0.50\",le=\"1\"} 1\n";
  CHECK(parse(kHistogram).samples ==
        "h_bucket{le=\"1.0\"} 1; h_bucket{le=\"+Inf\",quantile=\"1\"} 1; "
        "other{le=\"1\",quantile=\"1\"} 1; s{le=\"1\",quantile=\"0.5\"} 1; ");
  CHECK(parse(kHistogram, {.normalizes = false}).samples ==
        "h_bucket{le=\"1\"} 1; h_bucket{le=\"+Inf\",quantile=\"1\"} 1; "
        "other{le=\"1\",quantile=\"1\"} 1; s{le=\"1\",quantile=\"0.50\"} 1; ");
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"1", "1.0"},
      {"0", "0.0"},
      {"-1", "-1.0"},
      {"0.005", "0.005"},
      {"1e3", "1000.0"},
      {"100000", "100000.0"},
      {"1000000", "1e+06"},
      {"1048576", "1.048576e+06"},
      {"0.0001", "0.0001"},
      {"0.00001", "1e-05"},
      {"1e-7", "1e-07"},
      {"1e100", "1e+100"},
      {"inf", "+Inf"},
      {"+Inf", "+Inf"},
      {"nan", "NaN"},
      {"abc", "abc"},
      {"", ""},
      {"0.1", "0.1"},
      {"2.50", "2.5"},
      {"123456.5", "123456.5"},
  };
  for (const auto& [text, normalized] : rows) CHECK(metrics::normalized_number(text) == normalized);
}

TEST_CASE("exposition parser: OpenMetrics ends with # EOF") {
  const metrics::ExpositionOptions options{.format = kOpenMetrics};
  CHECK(parse("a 1\n# EOF\n", options).verdict.empty());
  CHECK(parse("a 1\n# EOF", options).verdict.empty());
  CHECK(parse("# EOF\n", options).verdict.empty());
  CHECK(parse("a 1\n", options).verdict ==
        "the text is cut off: its last line is not '# EOF', as OpenMetrics wants it");
  const auto behind = parse("a 1\n# EOF\nb 2\nc 3\n", options);
  CHECK(behind.samples == "a 1; ");
  CHECK(behind.bad == 1);
  CHECK(behind.first_bad == "line 3: text behind '# EOF': 'b 2'");
  check({{"a_total 1 # {trace_id=\"x # y\"} 0.5 1700000000.1\n# EOF\n", "a_total 1; "},
         {"a_total 1 1.5 # {} 0.5\n# EOF\n", "a_total 1 @1500; "}},
        options);
}

TEST_CASE("exposition parser: the format is what Content-Type says, text by default") {
  CHECK(metrics::exposition_format("") == metrics::ExpositionFormat::text);
  CHECK(metrics::exposition_format("text/plain; version=0.0.4") == metrics::ExpositionFormat::text);
  CHECK(metrics::exposition_format("text/html") == metrics::ExpositionFormat::text);
  CHECK(metrics::exposition_format("Application/OpenMetrics-Text ;version=1.0.0") == kOpenMetrics);
  CHECK(metrics::exposition_format("application/openmetrics-text") == kOpenMetrics);
}

TEST_CASE("exposition parser: known series are not parsed again, and their order may change") {
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  auto& writer = builder.add_writer();
  int parsed = 0;
  const auto tick = [&](std::string_view text) {
    builder.begin(writer);
    metrics::ExpositionParser parser(text);
    parser.add_all(writer, [&](std::vector<metrics::Label>&) { ++parsed; });
    REQUIRE(builder.commit(writer).has_value());
    return metrics::text_format(builder.finish(0));
  };
  tick("a{b=\"1\"} 1\na{b=\"2\"} 2\nbad\n");
  CHECK(parsed == 2);
  CHECK(tick("a{b=\"2\"} 3\nbad\na{b=\"1\"} 4\n") == "a{b=\"2\"} 3\na{b=\"1\"} 4\n");
  CHECK(parsed == 2);
  // One that comes between the others, and one that is gone.
  CHECK(tick("a{b=\"2\"} 1\na{b=\"3\"} 2\na{b=\"1\"} 3\n") ==
        "a{b=\"2\"} 1\na{b=\"3\"} 2\na{b=\"1\"} 3\n");
  CHECK(parsed == 3);
  CHECK(tick("a{b=\"3\"} 4\na{b=\"1\"} 5\n") == "a{b=\"3\"} 4\na{b=\"1\"} 5\na{b=\"2\"} NaN\n");
  CHECK(parsed == 3);
  tick("a{b=\"1\"} 1\na{b=\"2\"} 1\n");
  CHECK(parsed == 4);
  // Written in another way it is another line, of a series that the scrape has already.
  CHECK(tick("a{b=\"1\"} 5\na{b=\"2\"} 6\na{b=\"1\",} 7\na{b=\"2\"} 8\n") ==
        "a{b=\"1\"} 5\na{b=\"2\"} 6\n");
  CHECK(builder.duplicates() == 2);
}

TEST_CASE("exposition parser: reads what the agent writes") {
  const std::string values[] = {"plain", "with \"quotes\"", "back\\slash", "new\nline",
                                "\xec\x84\x9c"};
  auto set = std::make_shared<metrics::SeriesSet>();
  metrics::Scrape scrape{0, nullptr, {}};
  for (const auto& value : values) {
    set->push_back(std::make_shared<const metrics::Series>(
        metrics::Series{metrics::Labels({{"__name__", "m"}, {"v", value}}), nullptr}));
    scrape.values.push_back(0.1 * static_cast<double>(set->size()));
  }
  scrape.series = set;
  const auto text = metrics::text_format(scrape);
  metrics::ExpositionParser parser(text);
  std::size_t i = 0;
  while (const auto sample = parser.next()) {
    const auto series = parser.series();
    REQUIRE(series.has_value());
    CHECK(metrics::Labels(series->labels) == (*set)[i]->labels);
    CHECK(sample->value == scrape.values[i++]);
  }
  CHECK(i == std::size(values));
}

}  // namespace msp
