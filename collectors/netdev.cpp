// netdev: bytes, packets and errors of each network device, from /proc/net/dev (proc(5)):
//   Inter-|   Receive                                                |  Transmit
//    face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier ..
//     eth0: 94304459    2269    0    0    0     0          0         0    96407    1060    0    0    0     0       0 ..
// and /sys/class/net/<device>/statistics/rx_nohandler, which that table lacks.
//
// Not from rtnetlink, though it has all of this in one answer: a dump of the links takes the rtnl
// lock, which the starting and stopping of containers holds for long, and waits with everybody else
// for it. These files do not.
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/number_file.h"

namespace msp::collectors {
namespace {

struct Options {
  Filter devices;
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr ConfigKey kOptions[] = {
    // Ours: node_exporter sends every device, and a container host has hundreds of these. They are
    // recognized by their whole names, which nobody gives to a device of the host's own (lxcbr0,
    // calico0, veth-wan): Docker's veth and 7 hexadecimal digits, those of the CNI plugins and of LXD
    // with 8, Calico's cali and 11, Cilium's lxc and 12 (5 in its first versions) and lxc_health.
    exclude<&Options::devices>(
        "device_exclude", "^(veth[0-9a-f]{7,8}|cali[0-9a-f]{11}|lxc([0-9a-f]{5,12}|_health))$",
        {"Network devices that are left out: those of single containers, recognized by the names "
         "that Docker, CNI, Calico and Cilium give them. A bridge of the host's own, such as "
         "lxcbr0, is sent.",
         "'^(veth|cali|lxc|docker|br-)'"}),
    include<&Options::devices>(
        "device_include", "device_exclude",
        {"The only network devices that are sent, instead of `device_exclude`.",
         R"('^(eth|bond)\d+$')"}),
};

constexpr std::string_view kTable = "/proc/net/dev";

#define MSP_NETDEV_FAMILY(statistic, source)                                               \
  {                                                                                        \
    "node_network_" statistic "_total", "Network device statistic " statistic ".", source, \
        MetricType::counter, "device"                                                      \
  }
// In the order of the table's columns.
constexpr MetricDesc kColumns[] = {
    MSP_NETDEV_FAMILY("receive_bytes", kTable),
    MSP_NETDEV_FAMILY("receive_packets", kTable),
    MSP_NETDEV_FAMILY("receive_errs", kTable),
    MSP_NETDEV_FAMILY("receive_drop", kTable),
    MSP_NETDEV_FAMILY("receive_fifo", kTable),
    MSP_NETDEV_FAMILY("receive_frame", kTable),
    MSP_NETDEV_FAMILY("receive_compressed", kTable),
    MSP_NETDEV_FAMILY("receive_multicast", kTable),
    MSP_NETDEV_FAMILY("transmit_bytes", kTable),
    MSP_NETDEV_FAMILY("transmit_packets", kTable),
    MSP_NETDEV_FAMILY("transmit_errs", kTable),
    MSP_NETDEV_FAMILY("transmit_drop", kTable),
    MSP_NETDEV_FAMILY("transmit_fifo", kTable),
    MSP_NETDEV_FAMILY("transmit_colls", kTable),
    MSP_NETDEV_FAMILY("transmit_carrier", kTable),
    MSP_NETDEV_FAMILY("transmit_compressed", kTable),
};
constexpr MetricDesc kNohandler =
    MSP_NETDEV_FAMILY("receive_nohandler", "/sys/class/net/DEVICE/statistics/rx_nohandler");
#undef MSP_NETDEV_FAMILY

class Netdev : public Collector {
 public:
  explicit Netdev(const CollectorContext& context)
      : paths_(context.paths),
        is_wanted_(context.options.as<Options>().devices),
        table_(context.files.open(paths_.proc("net/dev"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = table_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    const auto first = next_line(rest);
    const auto second = next_line(rest);
    if (!first || !second || second->find('|') == std::string_view::npos) {
      return failed(cat(table_->path(), ": expected two lines of column names"));
    }
    devices_.begin_tick();
    wanted_ = 0;
    bool has_device = rest.empty();
    const auto lines = rest;
    while (const auto line = next_line(rest)) has_device = collect_device(*line, out) || has_device;
    if (!has_device) {
      return failed(cat(table_->path(), " line 3: expected 'device: numbers'", got(lines)));
    }
    devices_.end_tick();
    return {};
  }

 private:
  struct Device {
    std::string name;
    bool is_wanted;
    NumberFile nohandler;
    std::size_t place = 0;  // among the wanted devices of the last tick
  };

  /// False where the line is not that of a device.
  bool collect_device(std::string_view line, SeriesWriter& out) {
    // An alias of old kernels has a colon in its name, a number never.
    const auto colon = line.rfind(':');
    const auto name = trim(line.substr(0, colon));
    if (colon == line.npos || name.empty() || name.find('\0') != name.npos) {
      out.complaints().garbled(table_->path(), line, "'device: numbers'", {"a line"});
      return false;
    }
    auto* const device = devices_.next(name, [this](std::string_view new_name) {
      return Device{
          std::string(new_name), is_wanted_(new_name),
          NumberFile(paths_.sys(cat("class/net/", new_name, "/statistics/rx_nohandler")))};
    });
    if (device == nullptr) {
      out.complaints().repeated(table_->path(), name);
      return true;
    }
    if (!device->is_wanted) return true;
    const bool has_numbers = add_columns(*device, line.substr(colon + 1), out);
    add_nohandler(*device, out);
    return has_numbers;
  }

  /// False where there is not one number.
  bool add_columns(const Device& device, std::string_view numbers, SeriesWriter& out) const {
    const CountersLine<std::size(kColumns)> line(
        numbers, [&](std::size_t column, std::string_view word) {
          out.complaints().garbled(table_->path(), word, "a count",
                                   {kColumns[column].name, {device.name}});
        });
    if (line.is_short(std::size(kColumns))) {
      out.complaints().garbled(table_->path(), trim(numbers), "16 numbers",
                               {"the line", {device.name}});
      return line.found > 0;
    }
    for (std::size_t i = 0; i < line.found; ++i) {
      if (line.is_good[i]) out.add(kColumns[i], {device.name}, static_cast<double>(line.values[i]));
    }
    return line.is_good.any();
  }

  void add_nohandler(Device& device, SeriesWriter& out) {
    // An open file follows its device when that is renamed, and another device may have the name
    // now. The table is in the order of the devices and not of their names, so that a rename shows
    // as another order.
    if (device.place != wanted_) device.nohandler.forget();
    device.place = wanted_++;
    const auto reading = device.nohandler.read(device.place < NumberFile::kKeptMax);
    if (reading.state == NumberFile::State::number) {
      out.add(kNohandler, {device.name}, static_cast<double>(reading.number));
    } else {
      complain(out.complaints(), device.nohandler, reading, {kNohandler.name, {device.name}});
    }
  }

  const HostPaths& paths_;
  const Filter& is_wanted_;
  std::shared_ptr<KeptFile> table_;
  DeviceList<Device> devices_;
  std::size_t wanted_ = 0;  // wanted devices so far in this tick
};

}  // namespace

CollectorType netdev_collector() {
  return {make_collector<Netdev>, make_options<Options, kOptions>};
}

}  // namespace msp::collectors
