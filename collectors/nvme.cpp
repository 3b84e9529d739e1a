// nvme: what each NVMe controller is, and how large its namespaces are, from
// /sys/class/nvme/nvmeN, a value per file, and nvmeN/nvmeNnN:
//   nvme0/model KXG60ZNV512G   nvme0/nvme0n1/size 1000215216
//
// `size` counts sectors of 512 bytes whatever the namespace's own blocks are; that node_exporter
// multiplies it with the size of those is repeated here.
#include <array>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kInfo{
    "node_nvme_info", "Non-numeric data from /sys/class/nvme/<device>, value is always 1.",
    "/sys/class/nvme/DEVICE/firmware_rev, /sys/class/nvme/DEVICE/model, "
    "/sys/class/nvme/DEVICE/serial, /sys/class/nvme/DEVICE/state, /sys/class/nvme/DEVICE/cntlid",
    MetricType::gauge, "device,firmware_revision,model,serial,state,cntlid"};

#define MSP_NAMESPACE "/sys/class/nvme/DEVICE/DEVICE/"
constexpr MetricDesc kNamespace{
    "node_nvme_namespace_info", "Information about NVMe namespaces. Value is always 1",
    MSP_NAMESPACE "ana_state", MetricType::gauge, "device,nsid,ana_state"};
constexpr MetricDesc kCapacity{"node_nvme_namespace_capacity_bytes",
                               "Capacity of the NVMe namespace in bytes. Computed as "
                               "namespace_size * namespace_logical_block_size",
                               MSP_NAMESPACE "size, " MSP_NAMESPACE "queue/logical_block_size",
                               MetricType::gauge, "device,nsid"};
constexpr MetricDesc kSize{"node_nvme_namespace_size_bytes",
                           "Size of the NVMe namespace in bytes. Available in "
                           "/sys/class/nvme/<device>/<namespace>/size",
                           MSP_NAMESPACE "size, " MSP_NAMESPACE "queue/logical_block_size",
                           MetricType::gauge, "device,nsid"};
constexpr MetricDesc kUsed{"node_nvme_namespace_used_bytes",
                           "Used space of the NVMe namespace in bytes. Available in "
                           "/sys/class/nvme/<device>/<namespace>/nuse",
                           MSP_NAMESPACE "nuse, " MSP_NAMESPACE "queue/logical_block_size",
                           MetricType::gauge, "device,nsid"};
constexpr MetricDesc kBlock{"node_nvme_namespace_logical_block_size_bytes",
                            "Logical block size of the NVMe namespace in bytes. Usually 4Kb. "
                            "Available in /sys/class/nvme/<device>/<namespace>/queue/"
                            "logical_block_size",
                            MSP_NAMESPACE "queue/logical_block_size", MetricType::gauge,
                            "device,nsid"};
#undef MSP_NAMESPACE

/// "1" of "nvme0n1". Empty for what is no namespace, and for "nvme0c0n1", one path to it of
/// several.
std::string_view namespace_id(std::string_view name) {
  const auto n = name.rfind('n');
  if (n == 0 || n == name.npos) return {};
  if (number_behind(name.substr(0, n), "nvme").empty()) return {};
  return number_behind(name.substr(n), "n");
}

class Nvme : public Collector {
 public:
  explicit Nvme(const CollectorContext& context) : folder_(context.paths.sys("class/nvme")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder nvme(folder_);
    if (!nvme) return no_data(cat(folder_, ": no such folder"));
    nvme.list(names_);
    for (const auto& name : names_) {
      if (const SysFolder device(nvme, name.c_str()); device) add_device(device, name, out);
    }
    return {};
  }

 private:
  void add_device(const SysFolder& device, const std::string& name, SeriesWriter& out) {
    auto& [firmware, model, serial, state, controller] = texts_;
    read_label(device, "firmware_rev", kInfo, firmware, out);
    read_label(device, "model", kInfo, model, out);
    read_label(device, "serial", kInfo, serial, out);
    read_label(device, "state", kInfo, state, out);
    read_label(device, "cntlid", kInfo, controller, out);
    out.add(kInfo, {name, firmware, model, serial, state, controller}, 1);
    device.list(namespaces_);
    for (const auto& entry : namespaces_) {
      const auto id = namespace_id(entry);
      if (id.empty()) continue;
      if (const SysFolder folder(device, entry.c_str()); folder) {
        add_namespace(folder, name, id, out);
      }
    }
  }

  void add_namespace(const SysFolder& folder, std::string_view device, std::string_view id,
                     SeriesWriter& out) {
    if (read_label(folder, "ana_state", kNamespace, ana_state_, out) == SysLabel::missing) {
      ana_state_ = "unknown";
    }
    out.add(kNamespace, {device, id, ana_state_}, 1);
    const auto block = read_number(folder, "queue/logical_block_size", kBlock, out);
    if (!block) return;
    out.add(kBlock, {device, id}, *block);
    if (const auto size = read_number(folder, "size", kSize, out)) {
      out.add(kCapacity, {device, id}, *size * *block);
      out.add(kSize, {device, id}, *size * *block);
    }
    if (const auto used = read_number(folder, "nuse", kUsed, out)) {
      out.add(kUsed, {device, id}, *used * *block);
    }
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::vector<std::string> namespaces_;
  std::array<std::string, 5> texts_;  // of one device after the other
  std::string ana_state_;
};

}  // namespace

CollectorType nvme_collector() {
  return {.make = make_collector<Nvme>, .costly = "`nuse` asks the drive on recent kernels"};
}

}  // namespace msp::collectors
