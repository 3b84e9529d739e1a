// tapestats: what each tape drive has read and written, from /sys/class/scsi_tape/stN/stats
// (Documentation/scsi/st.rst), a count per file, times in nanoseconds:
//   st0/stats/read_byte_cnt 979383912
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
  double unit;
};
#define MSP_TAPE(file, name, type, help, unit)                                                 \
  {                                                                                            \
    "stats/" file,                                                                             \
        {"node_tape_" name, help, "/sys/class/scsi_tape/DEVICE/stats/" file, MetricType::type, \
         "device"},                                                                            \
        unit                                                                                   \
  }
constexpr Value kValues[] = {
    MSP_TAPE("in_flight", "io_now", gauge,
             "The number of I/Os currently outstanding to this device.", 1),
    MSP_TAPE("io_ns", "io_time_seconds_total", counter,
             "The amount of time spent waiting for all I/O to complete (including read and write). "
             "This includes tape movement commands such as seeking between file or set marks and "
             "implicit tape movement such as when rewind on close tape devices are used.",
             0.000000001),
    MSP_TAPE("other_cnt", "io_others_total", counter,
             "The number of I/Os issued to the tape drive other than read or write commands. The "
             "time taken to complete these commands uses the following calculation "
             "io_time_seconds_total-read_time_seconds_total-write_time_seconds_total",
             1),
    MSP_TAPE("read_byte_cnt", "read_bytes_total", counter,
             "The number of bytes read from the tape drive.", 1),
    MSP_TAPE("read_cnt", "reads_completed_total", counter,
             "The number of read requests issued to the tape drive.", 1),
    MSP_TAPE("read_ns", "read_time_seconds_total", counter,
             "The amount of time spent waiting for read requests to complete.", 0.000000001),
    MSP_TAPE("resid_cnt", "residual_total", counter,
             "The number of times during a read or write we found the residual amount to be "
             "non-zero. This should mean that a program is issuing a read larger thean the block "
             "size on tape. For write not all data made it to tape.",
             1),
    MSP_TAPE("write_byte_cnt", "written_bytes_total", counter,
             "The number of bytes written to the tape drive.", 1),
    MSP_TAPE("write_cnt", "writes_completed_total", counter,
             "The number of write requests issued to the tape drive.", 1),
    MSP_TAPE("write_ns", "write_time_seconds_total", counter,
             "The amount of time spent waiting for write requests to complete.", 0.000000001),
};
#undef MSP_TAPE

class Tapestats : public Collector {
 public:
  explicit Tapestats(const CollectorContext& context)
      : folder_(context.paths.sys("class/scsi_tape")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder tapes(folder_);
    if (!tapes) return no_data(cat(folder_, ": no such folder"));
    tapes.list(names_);
    for (const auto& name : names_) {
      // nst0, st0a and the like are the same drive.
      if (number_behind(name, "st").empty()) continue;
      const SysFolder tape(tapes, name.c_str());
      if (!tape) continue;
      for (const auto& value : kValues) {
        const auto number = read_number(tape, value.file, value.metric, out);
        if (number) out.add(value.metric, {name}, *number * value.unit);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;
};

}  // namespace

CollectorType tapestats_collector() {
  return {make_collector<Tapestats>};
}

}  // namespace msp::collectors
