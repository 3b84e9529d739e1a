// Texts from anywhere, read as what an exporter exposes: no crash, no endless work, and whatever comes
// out is fit to be sent. What is read and written again reads the same. libFuzzer takes
// LLVMFuzzerTestOneInput as it is; without it this is a program:
//
//     exposition_fuzz [--runs=N] [--seed=N] [file or directory]...
//
// reads every file, those of folders inside that end in .prom as well, then N mutations of them.
#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "agent/metrics/exposition_parser.h"
#include "tests/support/fuzz_input.h"

namespace {

std::uint64_t g_samples = 0;

void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "exposition_fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

/// What the agent writes of a series reads as that series.
void require_reads_back(const msp::metrics::Series& series, double value) {
  const auto text =
      msp::metrics::series_text(series) + " " + msp::metrics::text_value(value) + "\n";
  msp::metrics::ExpositionParser parser(text, {.normalizes = false});
  const auto sample = parser.next();
  require(sample.has_value(), "what was written is no sample: " + text);
  require(std::bit_cast<std::uint64_t>(sample->value) == std::bit_cast<std::uint64_t>(value),
          "another value: " + text);
  const auto again = parser.series();
  require(again.has_value() && msp::metrics::Labels(again->labels) == series.labels,
          "other labels: " + text);
}

/// What next() is told to expect changes how it reads, never what. Expected are the series of this
/// text itself, each where it is and a line late, and those of the text before.
void require_same_with_expectations(std::string_view text,
                                    msp::metrics::ExpositionOptions options) {
  static std::vector<std::string> before = {"a"};
  std::vector<std::string> series;
  msp::metrics::ExpositionParser alone(text, options);
  while (const auto sample = alone.next()) series.emplace_back(sample->series);
  series.emplace_back();
  for (std::size_t way = 0; way < 3; ++way) {
    msp::metrics::ExpositionParser plain(text, options);
    msp::metrics::ExpositionParser told(text, options);
    for (std::size_t i = 0;; ++i) {
      const auto& expected = way == 2 ? before[i % before.size()]
                                      : series[std::min(i - std::min(i, way), series.size() - 1)];
      const auto one = plain.next();
      const auto other = told.next(expected);
      require(one.has_value() == other.has_value(), "more samples or fewer when some are expected");
      if (!one) break;
      require(one->series.data() == other->series.data() && one->series == other->series &&
                  std::bit_cast<std::uint64_t>(one->value) ==
                      std::bit_cast<std::uint64_t>(other->value) &&
                  one->timestamp_ms == other->timestamp_ms,
              "another sample when it is expected: " + std::string(one->series));
      require(other->is_expected ? other->series == expected : other->series != expected,
              "expected or not: " + std::string(one->series));
      if (one->series.size() % 5 != 0) continue;
      plain.reject("a reason");
      told.reject("a reason");
    }
    require(plain.good_lines() == told.good_lines() && plain.bad_lines() == told.bad_lines() &&
                plain.first_bad_line() == told.first_bad_line(),
            "other bad lines when samples are expected");
  }
  before = std::move(series);
}

void parse(std::string_view text, msp::metrics::ExpositionOptions options) {
  require_same_with_expectations(text, options);
  msp::metrics::ExpositionParser parser(text, options);
  std::size_t good = 0;
  while (const auto sample = parser.next()) {
    require(sample->series.data() >= text.data() &&
                sample->series.data() + sample->series.size() <= text.data() + text.size(),
            "a series outside of the text");
    const auto series = parser.series();
    if (!series) {
      parser.reject(series.error().text);
      continue;
    }
    ++good;
    ++g_samples;
    require(series->labels.size() <= msp::metrics::ExpositionParser::kLabelsMax, "too many labels");
    for (const auto& label : series->labels) {
      const bool is_name = label.name == msp::metrics::kMetricName;
      require(msp::is_utf8(label.value), "a value that is not UTF-8");
      require(is_name || msp::metrics::is_label_name(label.name), "a name that no label can have");
      require(!is_name || !label.value.empty(), "a series without a name");
    }
    if (series->desc) require(msp::is_utf8(series->desc->help), "a HELP that is not UTF-8");
    require_reads_back({msp::metrics::Labels(series->labels), series->desc}, sample->value);
  }
  const auto lines = 1 + static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  require(parser.good_lines() == good, "good lines");
  require(good + parser.bad_lines() <= lines, "more lines than there are");
  const auto& bad = parser.first_bad_line();
  require(bad.empty() == (parser.bad_lines() == 0), "bad lines, and the first of them");
  require(msp::is_utf8(bad) && msp::is_printable(bad) && bad.size() < 500,
          "a bad line to be shown");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format :
       {msp::metrics::ExpositionFormat::text, msp::metrics::ExpositionFormat::open_metrics}) {
    for (const bool normalizes : {true, false}) parse(text, {format, normalizes});
  }
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

class Mutator {
 public:
  Mutator(std::uint64_t seed, const std::vector<std::string>& corpus)
      : random_(seed), corpus_(corpus) {}

  /// A few lines of a text, harmed.
  std::string next() {
    const auto& from = corpus_[below(corpus_.size())];
    auto text = from.substr(below(from.size() + 1), 1 + below(600));
    for (auto left = 1 + below(4); left > 0; --left) harm(text);
    return text;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& text) {
    static const std::string kPieces[] = {"{",
                                          "}",
                                          "\"",
                                          "\\",
                                          "\\\"",
                                          "\\n",
                                          ",",
                                          "=",
                                          "#",
                                          " # ",
                                          "\n",
                                          "\r\n",
                                          "\t",
                                          " ",
                                          "-",
                                          "+",
                                          ".",
                                          "e",
                                          "0",
                                          "1e999",
                                          "1e-999",
                                          "NaN",
                                          "+Inf",
                                          "0x1",
                                          "_",
                                          ":",
                                          "__name__=\"a\"",
                                          "{\"a.b\",\"c d\"=\"e\"}",
                                          "# TYPE a histogram\n",
                                          "# TYPE a summary\n",
                                          "# HELP a b\n",
                                          "# EOF\n",
                                          "a_bucket{le=\"1\"} 1\n",
                                          "a{quantile=\"1\"} 1\n",
                                          "a_total 1 # {b=\"c\"} 1 1\n",
                                          "a{b=\"c\"} 1 1700000000000\n",
                                          "\xff",
                                          "\xed\xa0\x80",
                                          "\xef\xbb\xbf",
                                          std::string(1, '\0'),
                                          "서"};
    const auto at = below(text.size() + 1);
    switch (below(4)) {
      case 0:
      case 1:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 2:
        text.erase(at, 1 + below(10));
        break;
      default:
        if (at < text.size()) text[at] = static_cast<char>(random_());
    }
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& corpus_;
};

void run(const std::string& bytes) {
  using namespace std::chrono_literals;
  const auto begin = std::chrono::steady_clock::now();
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  require(std::chrono::steady_clock::now() - begin < 10s, "more than 10 s for one text");
}

}  // namespace

int main(int argc, char** argv) {
  const msp::test::FuzzInput input(
      argc, argv, [](const std::filesystem::path& file) { return file.extension() == ".prom"; });
  const auto& corpus = input.corpus;
  require(!corpus.empty(), "no file to begin with");
  for (const auto& bytes : corpus) run(bytes);
  std::printf("exposition_fuzz: %zu files, %llu mutations, seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(input.runs),
              static_cast<unsigned long long>(input.seed));
  Mutator mutator(input.seed, corpus);
  for (std::uint64_t i = 0; i < input.runs; ++i) run(mutator.next());
  std::printf("exposition_fuzz: %llu samples\n", static_cast<unsigned long long>(g_samples));
  return 0;
}
#endif
