// A batch's rows as the message of a remote write 2.0 request, before compression:
// io.prometheus.write.v2.Request, as request_v2.proto has it.
//
// Beside what 1.0 says, a series has its type, help and unit, where its family is known; and a
// counter of the kernel that began with the boot says so in every sample, where the same scrape has
// node_boot_time_seconds. When other counters began is not known, and not guessed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/string_table.h"
#include "agent/delivery/encode/write_request.h"
#include "agent/queue/batch.h"

namespace msp::delivery {

/// Reused from request to request. One thread at a time.
class RequestV2 {
 public:
  /// As WriteRequest::write(), up to the first row that is a relay's request: the row `rows_begin`
  /// is none.
  Extent write(queue::Batch& batch, std::size_t rows_begin, std::size_t rows_end,
               std::size_t bytes_max, std::string& message);

 private:
  struct RowLayout {
    std::size_t size = 0;
    std::size_t refs_size = 0;
    std::size_t refs_end = 0;  // in refs_
    std::int64_t type = 0;
    std::uint32_t help_ref = 0, unit_ref = 0;
    bool since_boot = false;

    std::size_t metadata_size() const;
  };

  RowLayout lay_out(const queue::Batch& batch, const queue::Batch::Row& row);
  std::uint8_t* write_row(const queue::Batch& batch, const queue::Batch::Row& row,
                          const RowLayout& layout, std::size_t refs_begin, std::uint8_t* at) const;
  /// node_boot_time_seconds of one target, as its labels tell it from others: the batch may hold what
  /// an exporter has said of another host.
  struct BootTime {
    std::string_view instance, job;
    queue::Point point;

    bool is_of(const metrics::Series& series) const;
  };

  void find_boot_times(queue::Batch& batch);
  std::int64_t boot_time_ms(const metrics::Series& series, const queue::Point& point,
                            std::size_t& at) const;

  StringTable symbols_;
  std::vector<std::uint32_t> refs_;  // of all rows, one after the other
  std::vector<RowLayout> layouts_;
  std::vector<BootTime> boot_times_;  // by target, oldest first
};

/// The unit of a metric by its name's suffix, as OpenMetrics has it: "seconds", "bytes"; empty
/// where there is none.
std::string_view unit_of(std::string_view metric);

}  // namespace msp::delivery
