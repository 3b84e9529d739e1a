// Samples that have a time of their own, as Prometheus' federation and cAdvisor expose them. A scrape
// has one time, on disk as well: so the samples of one time become a scrape of a stream beside the
// source's own.
//
// As Prometheus does it: their series get no stale marker, and a sample that is no newer than the one
// before is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "agent/metrics/sample.h"

namespace msp::metrics {

/// Of one source; main thread only.
class OwnTimes {
 public:
  /// A tick begins.
  void begin() { tickets_.clear(); }

  /// What the SeriesWriter gets in the place of `value`: which of its samples are in the scrape, and
  /// where, only the scrape shows. split() puts the values in again.
  double ticket(double value, std::optional<std::int64_t> time_ms);

  /// Of the scrape that was made: the values in the place of tickets. Moves what has a time of its own
  /// to scrapes of other streams, which it adds to `timed`. Returns how many samples
  /// were left out: those whose series has had a newer one, or another one of the same time.
  std::size_t split(Scrape& scrape, std::vector<Scrape>& timed);

  /// Streams beside the source's. With more times than that some have a stream in common, which costs
  /// more on disk.
  static constexpr std::size_t kStreamsMax = 64;

 private:
  struct Ticket {
    double value;
    std::int64_t time_ms;  // kNone: it has none of its own
  };
  struct Last {
    std::int64_t time_ms;
    double value;
    std::size_t stream;
  };
  struct Part;
  static constexpr std::int64_t kNone = INT64_MIN;

  void keep(const std::shared_ptr<const SeriesSet>& series);
  std::optional<Ticket> ticket_of(double value) const;
  static Part& part_of(std::int64_t time_ms, std::size_t stream, std::vector<Part>& parts);
  static Scrape scrape_of(Part&& part, const StreamPtr& stream);

  std::vector<Ticket> tickets_;
  std::shared_ptr<const SeriesSet> series_;  // of the source's last scrape, all of them
  std::vector<Last> last_;                   // of each of them
};

}  // namespace msp::metrics
