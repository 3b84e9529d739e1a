// loadavg: the load averages of /proc/loadavg (proc(5)):
//   0.20 0.18 0.12 1/80 11206
#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kLoads[] = {
    {"node_load1", "1m load average.", "/proc/loadavg"},
    {"node_load5", "5m load average.", "/proc/loadavg"},
    {"node_load15", "15m load average.", "/proc/loadavg"},
};

class Loadavg : public Collector {
 public:
  explicit Loadavg(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("loadavg"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = content->substr(0, content->find('\n'));
    bool found = false;
    for (const auto& load : kLoads) {
      const auto word = next_word(rest);
      if (const auto value = parse_amount(word)) {
        out.add(load, *value);
        found = true;
      } else {
        out.complaints().garbled(file_->path(), word, "a load of 0 or more", {load.name});
      }
    }
    if (!found) {
      return failed(cat(file_->path(), ": expected 3 numbers, got ",
                        quoted(trim(*content), kQuotedBytesMax)));
    }
    return {};
  }

 private:
  std::shared_ptr<KeptFile> file_;
};

}  // namespace

CollectorType loadavg_collector() {
  return {make_collector<Loadavg>};
}

}  // namespace msp::collectors
