// buddyinfo: how many free blocks of each size a zone of memory has, from /proc/buddyinfo (proc(5)):
//   Node 0, zone    DMA32      1      2      4      2      5      4      3      3      4      2    752
// The n-th number counts blocks of 2^n pages.
#include <algorithm>
#include <string>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/device_list.h"
#include "collectors/label_text.h"
#include "collectors/number_labels.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kBlocks{"node_buddyinfo_blocks", "Count of free blocks according to size.",
                             "/proc/buddyinfo", MetricType::gauge, "node,zone,size"};

class Buddyinfo : public Collector {
 public:
  explicit Buddyinfo(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("buddyinfo"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    zones_.begin_tick();
    for (auto rest = *content; const auto line = next_line(rest);) add_zone(*line, out);
    zones_.end_tick();
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": no line of a zone", got(*content)));
  }

 private:
  void add_zone(std::string_view line, SeriesWriter& out) {
    auto rest = line;
    const bool is_node = next_word(rest) == "Node";
    auto node = next_word(rest);
    const bool is_zone = next_word(rest) == "zone";
    const auto zone = next_word(rest);
    const bool has_number =
        node.ends_with(',') && parse_number<unsigned>(node.substr(0, node.size() - 1));
    if (!is_node || !has_number || !is_zone || zone.empty() || has_control(zone)) {
      out.complaints().garbled(file_->path(), line, "'Node N, zone NAME counts'", {"a line"});
      return;
    }
    node.remove_suffix(1);
    const auto whole = line.substr(0, line.size() - rest.size());
    if (zones_.next(whole, NamedDevice::make) == nullptr) {
      out.complaints().repeated(file_->path(), whole);
      return;
    }
    std::size_t size = 0;
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest), ++size) {
      if (const auto count = parse_number<std::uint64_t>(word)) {
        out.add(kBlocks, {node, zone, labels_.of(size)}, static_cast<double>(*count));
      } else {
        out.complaints().garbled(
            file_->path(), word, "a count",
            {kBlocks.name, {"node ", node, " zone ", zone, " size ", labels_.of(size)}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<NamedDevice> zones_;
  NumberLabels labels_;
};

}  // namespace

CollectorType buddyinfo_collector() {
  return {make_collector<Buddyinfo>};
}

}  // namespace msp::collectors
