// netclass: what each network device is and how its link is, from /sys/class/net/DEVICE
// (Documentation/ABI/testing/sysfs-class-net), a value per file. A file that a kernel or a device
// does not have, or has no value in (the speed of a link that is down), is left out.
//
// Reading a file may wait for the rtnl lock, which the starting and stopping of containers holds
// for long: of the 20 files per device four are read, and the others only if the option `full` says so.
#include <array>
#include <span>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kUp{"node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.",
                         "/sys/class/net/DEVICE/operstate", MetricType::gauge, "device"};
constexpr MetricDesc kInfo{
    "node_network_info", "Non-numeric data from /sys/class/net/<iface>, value is always 1.",
    "/sys/class/net/DEVICE/address, /sys/class/net/DEVICE/broadcast, "
    "/sys/class/net/DEVICE/duplex, /sys/class/net/DEVICE/operstate, "
    "/sys/class/net/DEVICE/flags, /sys/class/net/DEVICE/ifalias",
    MetricType::gauge, "device,address,broadcast,duplex,operstate,adminstate,ifalias"};

struct Value {
  const char* file;
  MetricDesc metric;
  SysNumber kind = SysNumber::count;
};

#define MSP_NETCLASS(file, name, type)                                                     \
  file, {                                                                                  \
    "node_network_" name, "Network device property: " name, "/sys/class/net/DEVICE/" file, \
        MetricType::type, "device"                                                         \
  }
constexpr Value kValues[] = {
    {MSP_NETCLASS("carrier", "carrier", gauge)},
    {MSP_NETCLASS("mtu", "mtu_bytes", gauge)},
    {MSP_NETCLASS("addr_assign_type", "address_assign_type", gauge)},
    {MSP_NETCLASS("carrier_changes", "carrier_changes_total", counter)},
    {MSP_NETCLASS("carrier_up_count", "carrier_up_changes_total", counter)},
    {MSP_NETCLASS("carrier_down_count", "carrier_down_changes_total", counter)},
    {MSP_NETCLASS("dev_id", "device_id", gauge), SysNumber::hexadecimal},
    {MSP_NETCLASS("dormant", "dormant", gauge)},
    {MSP_NETCLASS("ifindex", "iface_id", gauge)},
    {MSP_NETCLASS("iflink", "iface_link", gauge)},
    {MSP_NETCLASS("link_mode", "iface_link_mode", gauge)},
    {MSP_NETCLASS("name_assign_type", "name_assign_type", gauge)},
    {MSP_NETCLASS("netdev_group", "net_dev_group", gauge)},
    {MSP_NETCLASS("tx_queue_len", "transmit_queue_length", gauge)},
    {MSP_NETCLASS("type", "protocol_type", gauge)},
};
constexpr std::span<const Value> kReduced = std::span(kValues).first(2);
constexpr Value kFlags{MSP_NETCLASS("flags", "flags", gauge), SysNumber::hexadecimal};
// -1 where the driver does not know it, which node_exporter sends as -125000 bytes.
constexpr Value kSpeed{MSP_NETCLASS("speed", "speed_bytes", gauge), SysNumber::count_or_unknown};
#undef MSP_NETCLASS

struct Options {
  bool full = false;
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr ConfigKey kOptions[] = {
    key<&Options::full>("full", key_type::Flag{},
                        {"Whether all that the kernel says of a network device is sent: some 18 "
                         "series for each instead of 4.",
                         "true"}),
};

class Netclass : public Collector {
 public:
  explicit Netclass(const CollectorContext& context)
      : folder_(context.paths.sys("class/net")), is_full_(context.options.as<Options>().full) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder net(folder_);
    if (!net) return no_data(cat(folder_, ": no such folder"));
    net.list(names_);
    for (const auto& name : names_) {
      // bonding_masters is a file.
      if (const SysFolder device(net, name.c_str()); device) add_device(device, name, out);
    }
    return {};
  }

 private:
  void add_device(const SysFolder& device, const std::string& name, SeriesWriter& out) {
    auto& state = texts_.back();
    read_label(device, "operstate", is_full_ ? kInfo : kUp, state, out);
    if (!state.empty()) out.add(kUp, {name}, state == "up" ? 1 : 0);
    if (is_full_) add_info(device, name, out);
    for (const auto& value : is_full_ ? std::span<const Value>(kValues) : kReduced) {
      add_number(device, value.file, value.metric, {name}, out, value.kind);
    }
    const auto speed = read_number(device, kSpeed.file, kSpeed.metric, out, kSpeed.kind);
    if (speed) out.add(kSpeed.metric, {name}, *speed * 1e6 / 8);
  }

  void add_info(const SysFolder& device, const std::string& name, SeriesWriter& out) {
    const auto flags = read_number(device, kFlags.file, kFlags.metric, out, kFlags.kind);
    std::string_view admin_state = "unknown";
    if (flags) {
      out.add(kFlags.metric, {name}, *flags);
      admin_state = (static_cast<std::uint64_t>(*flags) & 1) != 0 ? "up" : "down";
    }
    auto& [address, broadcast, duplex, alias, state] = texts_;
    read_label(device, "address", kInfo, address, out);
    read_label(device, "broadcast", kInfo, broadcast, out);
    read_label(device, "duplex", kInfo, duplex, out);
    read_label(device, "ifalias", kInfo, alias, out);
    out.add(kInfo, {name, address, broadcast, duplex, state, admin_state, alias}, 1);
  }

  const std::string folder_;
  const bool is_full_;
  std::vector<std::string> names_;
  std::array<std::string, 5> texts_;  // of one device after the other
};

}  // namespace

CollectorType netclass_collector() {
  return {.make = make_collector<Netclass>,
          .options = make_options<Options, kOptions>,
          .costly = "reading the link of a device may wait for a lock of the kernel"};
}

}  // namespace msp::collectors
