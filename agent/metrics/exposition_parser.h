// Reads metrics that others expose: the Prometheus text format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/) and OpenMetrics 1.0
// (https://prometheus.io/docs/specs/om/open_metrics_spec/), of which exemplars are left out.
//
// It reads line by line: a line that is damaged costs itself, is counted, and the first one is kept
// for people. Tolerated is what cannot be misread: CRLF, no newline at the end, blanks and tabs
// around names, values and braces, a TYPE that nobody knows. Not tolerated: names that are none,
// bytes that are not UTF-8, a lost comma, a label twice.
//
// A series is known by the bytes of its line up to its value: its labels are parsed when those are
// new, and then only. Nothing is allocated for a line of a known series. Exporters answer in the same
// order again and again: where the bytes are those that are expected there, nothing is looked up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/metrics/sample.h"
#include "agent/metrics/series_writer.h"

namespace msp::metrics {

enum class ExpositionFormat { text, open_metrics };

/// What a Content-Type says that the text is; text where it says nothing of OpenMetrics.
ExpositionFormat exposition_format(std::string_view content_type);

struct ExpositionOptions {
  ExpositionFormat format = ExpositionFormat::text;
  /// The label `le` of a histogram and `quantile` of a summary as Prometheus 3 writes it: "1.0" for
  /// "1".
  bool normalizes = true;
  /// Whether a message may repeat a bad line: not where whoever wrote it was told a secret, a part of
  /// which nobody would recognize.
  bool shows_lines = true;
};

/// Of one text, which outlives it.
class ExpositionParser {
 public:
  struct Sample {
    std::string_view series;  // the bytes of the line up to the value: what add_outside() goes by
    double value = 0;
    std::optional<std::int64_t> timestamp_ms = std::nullopt;  // the line's own
    bool is_expected = false;                                 // next() was told the series
  };

  explicit ExpositionParser(std::string_view text, ExpositionOptions options = {})
      : text_(text), rest_(text), options_(options) {}

  /// The next sample, or nothing at the end. `expected` is the series that it is likely to be of,
  /// as a parser has found it in a text before, or empty: comparing is quicker than reading.
  std::optional<Sample> next(std::string_view expected = {});

  /// The series of the sample that next() gave last, its labels in the line's order. Empty values
  /// are kept. An error is told to reject() by whoever gets it.
  [[gnu::cold]] Result<NewSeries> series();

  /// The line of the sample that next() gave last is no good.
  [[gnu::cold]] void reject(std::string_view reason);

  /// Adds all samples to `out`, with the time of its tick. `edit` may change the labels of a new
  /// series.
  template <typename Edit>
  void add_all(SeriesWriter& out, const Edit& edit) {
    while (const auto sample = next(out.expected_key())) add(*sample, out, edit);
  }

  /// The same of one sample, for which next() was told out.expected_key(), or nothing.
  template <typename Edit>
  void add(const Sample& sample, SeriesWriter& out, const Edit& edit) {
    if (sample.is_expected) return out.add_expected(sample.value);
    const auto added = out.add_outside(sample.series, sample.value, [&]() -> Result<NewSeries> {
      auto made = series();
      if (made) edit(made->labels);
      return made;
    });
    if (!added) reject(added.error().text);
  }

  /// At the end: an error where the text as a whole is not what it should be: cut off before its
  /// "# EOF", or without a single good line among its lines.
  [[gnu::cold]] Result<void> verdict() const;

  /// Lines that next() has given and nobody has rejected.
  std::size_t good_lines() const { return good_lines_; }
  std::size_t bad_lines() const { return bad_lines_; }
  /// "line 7: no number for a value: 'abc 0x1F'"; empty where no line is bad.
  const std::string& first_bad_line() const { return first_bad_line_; }

  /// A series with more labels than receivers take by default is a bad line: VictoriaMetrics drops
  /// labels without a word, and then two series are one.
  static constexpr std::size_t kLabelsMax = 30;
  /// What is kept of a HELP.
  static constexpr std::size_t kHelpBytesMax = 1024;

 private:
  struct Family {
    std::string_view name;
    std::string_view type;
    std::string_view help;
    DescPtr desc = nullptr;  // once a series needs it
  };

  std::optional<Sample> next_expected(std::string_view expected);
  bool next_sample(std::string_view line, std::string_view expected, Sample& sample);
  static bool begins_with(std::string_view line, std::string_view expected);
  bool end_of_series(std::string_view line, std::size_t& end);
  bool is_end_of_text(std::string_view line);
  [[gnu::cold]] void bad(std::string_view reason);
  [[gnu::cold]] void find_families();
  [[gnu::cold]] Family* find_family(std::string_view name);
  [[gnu::cold]] Family* family_of(std::string_view series_name);
  [[gnu::cold]] DescPtr desc_of(std::string_view series_name);

  std::string_view text_;
  std::string_view rest_;
  ExpositionOptions options_;
  std::string_view line_ = {};    // that of the last sample
  std::string_view series_ = {};  // in it
  std::size_t line_number_ = 0;
  std::size_t good_lines_ = 0;
  std::size_t bad_lines_ = 0;
  std::string first_bad_line_ = {};
  bool has_end_ = false;  // "# EOF"
  bool knows_families_ = false;
  std::vector<Family> families_ = {};  // by name, once a series is new
};

/// "1.0" of "1", as Prometheus 3 writes the label of a bucket or quantile; what is no number stays.
[[gnu::cold]] std::string normalized_number(std::string_view text);

/// The value of a sample: what Go's ParseFloat takes, without hexadecimal digits and '_'. Every NaN
/// is the same one. Nothing where it is none, or too large for a double.
std::optional<double> parse_sample_value(std::string_view text);

}  // namespace msp::metrics
