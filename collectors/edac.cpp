// edac: errors of the memory, corrected and not, from /sys/devices/system/edac/mc
// (Documentation/admin-guide/ras.rst), a count per file: of each memory controller mcN, of each of
// its rows csrowN, and of each channel chN of a row, with the label of the DIMM. Errors of which the
// row is not known are those of the row "unknown".
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

#define MSP_EDAC(name, help, file, labels)                                            \
  {                                                                                   \
    "node_edac_" name "_errors_total", help, "/sys/devices/system/edac/mc/mcN/" file, \
        MetricType::counter, labels                                                   \
  }
constexpr MetricDesc kCorrectable MSP_EDAC("correctable", "Total correctable memory errors.",
                                           "ce_count", "controller");
constexpr MetricDesc kUncorrectable MSP_EDAC("uncorrectable", "Total uncorrectable memory errors.",
                                             "ue_count", "controller");
constexpr MetricDesc kRowCorrectable MSP_EDAC(
    "csrow_correctable", "Total correctable memory errors for this csrow.",
    "csrowN/ce_count, /sys/devices/system/edac/mc/mcN/ce_noinfo_count", "controller,csrow");
constexpr MetricDesc kRowUncorrectable MSP_EDAC(
    "csrow_uncorrectable", "Total uncorrectable memory errors for this csrow.",
    "csrowN/ue_count, /sys/devices/system/edac/mc/mcN/ue_noinfo_count", "controller,csrow");
constexpr MetricDesc kChannelCorrectable
    MSP_EDAC("channel_correctable", "Total correctable memory errors for this channel.",
             "csrowN/chN_ce_count, /sys/devices/system/edac/mc/mcN/csrowN/chN_dimm_label",
             "controller,csrow,channel,dimm_label");
constexpr MetricDesc kChannelUncorrectable
    MSP_EDAC("channel_uncorrectable", "Total uncorrectable memory errors for this channel.",
             "csrowN/chN_ue_count, /sys/devices/system/edac/mc/mcN/csrowN/chN_dimm_label",
             "controller,csrow,channel,dimm_label");
#undef MSP_EDAC

class Edac : public Collector {
 public:
  explicit Edac(const CollectorContext& context)
      : folder_(context.paths.sys("devices/system/edac/mc")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder controllers(folder_);
    if (!controllers) return no_data(cat(folder_, ": no such folder"));
    controllers.list(controllers_);
    for (const auto& name : controllers_) {
      const auto number = number_behind(name, "mc");
      if (number.empty()) continue;
      if (const SysFolder folder(controllers, name.c_str()); folder) {
        add_controller(folder, number, out);
      }
    }
    return {};
  }

 private:
  void add_controller(const SysFolder& folder, std::string_view controller, SeriesWriter& out) {
    add_number(folder, "ce_count", kCorrectable, {controller}, out);
    add_number(folder, "ce_noinfo_count", kRowCorrectable, {controller, "unknown"}, out);
    add_number(folder, "ue_count", kUncorrectable, {controller}, out);
    add_number(folder, "ue_noinfo_count", kRowUncorrectable, {controller, "unknown"}, out);
    folder.list(rows_);
    for (const auto& name : rows_) {
      const auto row = number_behind(name, "csrow");
      if (row.empty()) continue;
      if (const SysFolder row_folder(folder, name.c_str()); row_folder) {
        add_row(row_folder, controller, row, out);
      }
    }
  }

  void add_row(const SysFolder& folder, std::string_view controller, std::string_view row,
               SeriesWriter& out) {
    constexpr std::string_view kFile = "_ce_count";
    add_number(folder, "ce_count", kRowCorrectable, {controller, row}, out);
    add_number(folder, "ue_count", kRowUncorrectable, {controller, row}, out);
    folder.list(files_);
    for (const auto& name : files_) {
      if (!name.ends_with(kFile)) continue;
      const auto number = std::string_view(name).substr(0, name.size() - kFile.size());
      const auto channel = number_behind(number, "ch");
      if (channel.empty()) continue;
      if (!read_dimm(folder, channel, out)) continue;
      add_number(folder, name.c_str(), kChannelCorrectable, {controller, row, channel, dimm_}, out);
      add_number(folder, file_of(channel, "_ue_count"), kChannelUncorrectable,
                 {controller, row, channel, dimm_}, out);
    }
  }

  const char* file_of(std::string_view channel, std::string_view what) {
    file_ = "ch";
    file_ += channel;
    file_ += what;
    return file_.c_str();
  }

  /// "CPU_SrcID#0_Ha#0_Chan#1_DIMM#0" is sent without its '#', "mc#0csrow#1channel#0" as
  /// "mc0_csrow1_channel0". False where it is garbled.
  bool read_dimm(const SysFolder& folder, std::string_view channel, SeriesWriter& out) {
    const auto* const file = file_of(channel, "_dimm_label");
    const auto state = read_label(folder, file, kChannelCorrectable, dimm_, out);
    if (state == SysLabel::missing) dimm_ = "unknown";
    std::erase(dimm_, '#');
    for (const std::string_view part : {"csrow", "channel"}) {
      for (auto at = dimm_.find(part); at != dimm_.npos; at = dimm_.find(part, at + 2)) {
        dimm_.insert(at, 1, '_');
      }
    }
    return state != SysLabel::garbled;
  }

  const std::string folder_;
  std::vector<std::string> controllers_;
  std::vector<std::string> rows_;
  std::vector<std::string> files_;
  std::string file_;
  std::string dimm_;
};

}  // namespace

CollectorType edac_collector() {
  return {make_collector<Edac>};
}

}  // namespace msp::collectors
