// arp: the IPv4 neighbours that the host knows, per device, from /proc/net/arp (proc(5)):
//   IP address       HW type     Flags       HW address            Mask     Device
//   192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
//
// node_exporter asks rtnetlink, and leaves out the entries without a protocol (NUD_NOARP), which
// this file does not show either. A device without an entry has no sample.
#include <functional>
#include <map>
#include <string>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kEntries{"node_arp_entries", "ARP entries by device", "/proc/net/arp",
                              MetricType::gauge, "device"};
constexpr std::size_t kFlags = 2;
constexpr std::size_t kDevice = 5;

class Arp : public Collector {
 public:
  explicit Arp(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("net/arp"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    const auto names = next_line(rest);
    const bool has_names = names && names->starts_with("IP address");
    if (names && !has_names) {
      out.complaints().garbled(file_->path(), *names, "a line of column names", {"a line"});
    }
    for (auto& [device, entries] : devices_) entries = 0;
    while (const auto line = next_line(rest)) {
      const auto device = word_at(*line, kDevice);
      if (device.empty() || device.find('\0') != device.npos ||
          !word_at(*line, kFlags).starts_with("0x")) {
        out.complaints().garbled(file_->path(), *line, "an address and its device", {"a line"});
        continue;
      }
      auto known = devices_.find(device);
      if (known == devices_.end()) known = devices_.emplace(device, 0).first;
      ++known->second;
    }
    std::erase_if(devices_, [](const auto& device) { return device.second == 0; });
    if (!has_names && devices_.empty()) {
      return failed(cat(file_->path(), ": expected a line of column names", got(*content)));
    }
    for (const auto& [device, entries] : devices_) {
      out.add(kEntries, {device}, static_cast<double>(entries));
    }
    return {};
  }

 private:
  std::shared_ptr<KeptFile> file_;
  std::map<std::string, std::size_t, std::less<>> devices_;  // entries of this tick
};

}  // namespace

CollectorType arp_collector() {
  return {make_collector<Arp>};
}

}  // namespace msp::collectors
