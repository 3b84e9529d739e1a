// dmi: what the firmware says the machine is, from /sys/class/dmi/id, a text per file:
//   product_name   PowerEdge R640
// Serial numbers and the UUID are for root alone, and left out for others. The firmware says it
// once, so that what was read without a complaint is not read again.
#include <array>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr const char* kFiles[] = {
    "bios_date",      "bios_release",   "bios_vendor",     "bios_version",    "board_asset_tag",
    "board_name",     "board_serial",   "board_vendor",    "board_version",   "chassis_asset_tag",
    "chassis_serial", "chassis_vendor", "chassis_version", "product_family",  "product_name",
    "product_serial", "product_sku",    "product_uuid",    "product_version", "sys_vendor"};

constexpr MetricDesc kInfo{
    "node_dmi_info",
    "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, "
    "bios_version, board_asset_tag, board_name, board_serial, board_vendor, board_version, "
    "chassis_asset_tag, chassis_serial, chassis_vendor, chassis_version, product_family, "
    "product_name, product_serial, product_sku, product_uuid, product_version, system_vendor if "
    "provided by DMI.",
    "/sys/class/dmi/id/FILE", MetricType::gauge,
    "bios_date,bios_release,bios_vendor,bios_version,board_asset_tag,board_name,board_serial,"
    "board_vendor,board_version,chassis_asset_tag,chassis_serial,chassis_vendor,chassis_version,"
    "product_family,product_name,product_serial,product_sku,product_uuid,product_version,"
    "system_vendor"};

class Dmi : public Collector {
 public:
  explicit Dmi(const CollectorContext& context) : folder_(context.paths.sys("class/dmi/id")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    if (!is_known_) read(out);
    if (!has_any_) return no_data(cat(folder_, ": no such folder, or nothing in it"));
    const auto& t = texts_;
    out.add(kInfo, {t[0],  t[1],  t[2],  t[3],  t[4],  t[5],  t[6],  t[7],  t[8],  t[9],
                    t[10], t[11], t[12], t[13], t[14], t[15], t[16], t[17], t[18], t[19]},
            1);
    return {};
  }

 private:
  void read(SeriesWriter& out) {
    const SysFolder id(folder_);
    has_any_ = false;
    is_known_ = true;
    for (std::size_t i = 0; id && i < texts_.size(); ++i) {
      const auto state = read_label(id, kFiles[i], kInfo, texts_[i], out);
      has_any_ = has_any_ || state != SysLabel::missing;
      is_known_ = is_known_ && state != SysLabel::garbled;
    }
  }

  const std::string folder_;
  bool is_known_ = false;
  bool has_any_ = false;
  std::array<std::string, std::size(kFiles)> texts_;
};

}  // namespace

CollectorType dmi_collector() {
  return {make_collector<Dmi>};
}

}  // namespace msp::collectors
