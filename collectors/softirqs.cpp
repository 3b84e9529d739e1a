// softirqs: how often each cpu has run each kind of deferred work, from /proc/softirqs (proc(5)):
//                       CPU0       CPU1
//         TIMER:      16850      15700
// A cpu is the place of its column, as node_exporter has it.
#include <algorithm>
#include <bitset>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_labels.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kFunctions{"node_softirqs_functions_total", "Softirq counts per CPU.",
                                "/proc/softirqs", MetricType::counter, "cpu,type"};
constexpr std::string_view kTypes[] = {"HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                       "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};

class Softirqs : public Collector {
 public:
  explicit Softirqs(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("softirqs"), KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    std::bitset<std::size(kTypes)> is_found;
    for (auto rest = *content; auto line = next_line(rest);) {
      auto name = next_word(*line);
      if (name.starts_with("CPU")) continue;
      if (!name.ends_with(':')) {
        out.complaints().garbled(file_->path(), name, "the name of a line", {"a line"});
        continue;
      }
      name.remove_suffix(1);
      const auto* const type = std::find(std::begin(kTypes), std::end(kTypes), name);
      if (type == std::end(kTypes)) continue;
      const auto index = static_cast<std::size_t>(type - kTypes);
      if (is_found[index]) {
        out.complaints().repeated(file_->path(), name);
        continue;
      }
      is_found.set(index);
      add_counts(*type, *line, out);
    }
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no known line with a count", got(*content)));
  }

 private:
  void add_counts(std::string_view type, std::string_view counts, SeriesWriter& out) {
    std::size_t cpu = 0;
    for (auto word = next_word(counts); !word.empty(); word = next_word(counts), ++cpu) {
      if (const auto count = parse_number<std::uint64_t>(word)) {
        out.add(kFunctions, {labels_.of(cpu), type}, static_cast<double>(*count));
      } else {
        out.complaints().garbled(file_->path(), word, "a count",
                                 {kFunctions.name, {"cpu", labels_.of(cpu), " ", type}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  NumberLabels labels_;
};

}  // namespace

CollectorType softirqs_collector() {
  return {make_collector<Softirqs>};
}

}  // namespace msp::collectors
