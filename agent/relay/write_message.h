// The message of a remote write request that a client has sent: its series, one after the other, as
// remote write 1.0 has them, each with the labels that the client's login enforces.
//
// What comes out is written anew from what was understood: no unknown field, no second name in one
// label and no other order of the bytes gets through. A series is left out, and counted, where a
// receiver would refuse all of the request for its sake: it has no name, a label without one, a
// label twice, or bytes that are not UTF-8. Names may have any letters, as those of Prometheus 3.
// Samples and native histograms are taken as they are,
// whatever their time; exemplars, metadata and start timestamps are not passed on.
//
// No table of series: what is kept is one series at a time, and of 2.0 where its symbols are. What
// comes out has a limit, too: in 2.0 a few bytes can refer to the same long symbol again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/metrics/labels.h"
#include "agent/relay/content.h"

namespace msp::relay {

enum class WriteVersion { v1, v2 };

/// What a series, or several, have.
struct SampleCounts {
  std::uint64_t samples = 0;  // without histograms
  std::uint64_t histograms = 0;
  std::int64_t first_timestamp_ms = INT64_MAX;  // of both
  std::int64_t last_timestamp_ms = INT64_MIN;

  std::uint64_t all() const { return samples + histograms; }
  void add(const SampleCounts& other);
};

struct WriteOutcome {
  SampleCounts taken;
  std::uint64_t skipped_series = 0;
  std::uint64_t skipped_samples = 0;  // with histograms
  std::string first_skipped;          // why, and which series; empty: none was
};

/// Reused from message to message. One thread at a time.
class WriteMessageReader {
 public:
  /// `field` is the series as a field of a WriteRequest, with its tag: fields one after the other
  /// are a message. Valid until the next call.
  using OnSeries = std::function<void(std::string_view field, const SampleCounts& counts)>;

  // More are refused, with the message (symbols, bytes) or with the series (labels).
  static constexpr std::size_t kSymbolsMax = std::size_t{1} << 18;
  static constexpr std::size_t kBytesMax = std::size_t{32} << 20;  // that come out
  static constexpr std::size_t kLabelsMax = 512;
  static constexpr std::size_t kLabelBytesMax = std::size_t{64} << 10;

  /// All of the message, or nothing: after an error `on_series` was not called. `enforced` are in
  /// the place of all labels of the same names; one with an empty value takes the label away.
  std::expected<WriteOutcome, ContentError> read(std::string_view message, WriteVersion version,
                                                 std::span<const metrics::Label> enforced,
                                                 const OnSeries& on_series);

 private:
  enum class Reading { good, damaged, of_other_version, too_large };

  Reading read_all(std::string_view message, WriteVersion version, const OnSeries* on_series);
  bool read_series_v1(std::string_view series);
  bool read_series_v2(std::string_view series);
  bool read_symbols(std::string_view message);
  bool add_label(std::string_view label);
  bool add_sample(std::string_view sample, std::uint32_t field);
  bool add_histogram(std::string_view histogram);
  void add_reference(std::uint64_t reference);
  void finish_series(const OnSeries* on_series);
  std::string_view problem_of_labels();
  std::size_t labels_size() const;
  void skip_series(std::string_view problem);
  void release();

  struct View {
    std::string_view name;
    std::string_view value;
    std::string_view plain;  // all of the field, where it is written as this class writes it
  };

  std::span<const metrics::Label> enforced_;
  WriteOutcome outcome_;
  std::vector<View> labels_;               // of the series
  std::vector<std::uint64_t> refs_;        // of the series, where it is one of 2.0
  std::vector<std::string_view> symbols_;  // of the message
  SampleCounts counts_;                    // of the series
  std::string points_;                     // fields of its samples and histograms
  std::string fields_;                     // of a small message; of a large one only the last
  struct Kept {
    std::size_t size;
    SampleCounts counts;
  };
  std::vector<Kept> kept_;            // the same
  std::size_t labels_bytes_ = 0;      // as they are written
  bool has_too_many_labels_ = false;  // the series
  bool keeps_fields_ = false;
  std::size_t bytes_looked_at_ = 0;  // of labels
  std::size_t bytes_out_ = 0;
};

}  // namespace msp::relay
