// bonding: how many devices each bond has and how many of them are up, from
// /sys/class/net/bonding_masters (Documentation/networking/bonding.rst):
//   bond0 bond1
// and below /sys/class/net/BOND bonding/slaves and lower_DEVICE/bonding_slave/mii_status, which
// kernels before 3.9 have as slave_DEVICE/...
#include <algorithm>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/device_list.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kSlaves{"node_bonding_slaves",
                             "Number of configured slaves per bonding interface.",
                             "/sys/class/net/bonding_masters, /sys/class/net/DEVICE/bonding/slaves",
                             MetricType::gauge, "master"};
constexpr MetricDesc kActive{
    "node_bonding_active", "Number of active slaves per bonding interface.",
    "/sys/class/net/DEVICE/lower_DEVICE/bonding_slave/mii_status", MetricType::gauge, "master"};

constexpr std::string_view kStates[] = {"up", "going down", "down", "going back", "unknown"};

class Bonding : public Collector {
 public:
  explicit Bonding(const CollectorContext& context)
      : folder_(context.paths.sys("class/net")),
        masters_(context.files.open(folder_ + "/bonding_masters", KeptFile::End::short_read)) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = masters_->read(tick.number);
    if (!content) return content.error();
    const SysFolder net(folder_);
    bonds_.begin_tick();
    auto rest = trim(*content);
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
      if (word.find('\0') != word.npos) {
        out.complaints().garbled(masters_->path(), word, "the name of a bond", {"it"});
      } else if (const auto* const bond = bonds_.next(word, NamedDevice::make)) {
        add_bond(SysFolder(net, bond->name.c_str()), bond->name, out);
      } else {
        out.complaints().repeated(masters_->path(), word);
      }
    }
    bonds_.end_tick();
    return {};
  }

 private:
  void add_bond(const SysFolder& bond, const std::string& name, SeriesWriter& out) {
    constexpr auto kFile = "bonding/slaves";
    if (!bond) return;  // it has gone meanwhile
    const auto slaves = bond.read(kFile);
    if (slaves.error != 0) return complain(bond, kFile, slaves.error, kSlaves.name, out);
    std::size_t all = 0, active = 0;
    bool is_known = true;
    auto rest = slaves.text();
    for (auto word = next_word(rest); !word.empty(); word = next_word(rest)) {
      if (word.find('\0') != word.npos) {
        out.complaints().garbled(bond.path(kFile), word, "the name of a device",
                                 {kSlaves.name, {name}});
        return;
      }
      auto status = read_status(bond, "lower_", word);
      if (status.error == ENOENT) status = read_status(bond, "slave_", word);
      if (has_no_value(status.error)) continue;  // it has been released meanwhile
      ++all;
      if (status.error != 0) {
        complain(bond, file_, status.error, kActive.name, out);
        is_known = false;
      } else if (std::ranges::find(kStates, status.text()) == std::end(kStates)) {
        out.complaints().garbled(bond.path(file_), status.text(), "the state of a link",
                                 {kActive.name, {name}});
        is_known = false;
      } else if (status.text() == "up") {
        ++active;
      }
    }
    out.add(kSlaves, {name}, static_cast<double>(all));
    if (is_known) out.add(kActive, {name}, static_cast<double>(active));
  }

  SysText read_status(const SysFolder& bond, std::string_view prefix, std::string_view slave) {
    file_ = prefix;
    file_ += slave;
    file_ += "/bonding_slave/mii_status";
    return bond.read(file_.c_str());
  }

  const std::string folder_;
  std::shared_ptr<KeptFile> masters_;
  DeviceList<NamedDevice> bonds_;
  std::string file_;  // of the last read_status()
};

}  // namespace

CollectorType bonding_collector() {
  return {make_collector<Bonding>};
}

}  // namespace msp::collectors
