// rapl: the energy that packages, cores and memory have used, from /sys/class/powercap/ZONE
// (Documentation/power/powercap/powercap.rst), in millionths of a joule:
//   intel-rapl:0/name package-0    intel-rapl:0/energy_uj 240422366267
// The metric's name has the zone's in it, its index is the number there or, of "dram", which has
// none, the how many-th it is.
//
// Since Linux 5.10 only root may read energy_uj, for it tells too much of what a neighbour computes:
// then there is no data.
#include <cerrno>
#include <charconv>
#include <map>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/kept_metric.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kJoules{"the energy of a zone", "Current RAPL ZONE value in joules",
                             "/sys/class/powercap/DEVICE/energy_uj, "
                             "/sys/class/powercap/DEVICE/name",
                             MetricType::counter, "index,path"};

class Rapl : public Collector {
 public:
  explicit Rapl(const CollectorContext& context) : folder_(context.paths.sys("class/powercap")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder zones(folder_);
    if (!zones) return no_data(cat(folder_, ": no such folder"));
    zones.list(names_);
    for (auto& [name, count] : used_) count = 0;
    bool has_zone = false;
    bool may_read = false;
    for (const auto& name : names_) {
      const SysFolder zone(zones, name.c_str());
      if (!zone || read_label(zone, "name", kJoules, text_, out) != SysLabel::good) continue;
      has_zone = true;
      const auto energy = zone.read("energy_uj");
      if (energy.error == EACCES || energy.error == EPERM) continue;
      may_read = true;
      add(zone, name, energy, out);
    }
    if (has_zone && !may_read) {
      return no_data(cat(folder_, ": only root may read the energy of its zones"));
    }
    return {};
  }

 private:
  void add(const SysFolder& zone, const std::string& folder, const SysText& energy,
           SeriesWriter& out) {
    // "package-0" or "dram"
    const auto dash = text_.find('-');
    const auto behind = std::string_view(text_).substr(dash == text_.npos ? 0 : dash + 1);
    auto index = parse_number<std::uint32_t>(behind);
    if (dash == text_.npos || !index) index = used_[text_];
    if (dash != text_.npos && parse_number<std::uint32_t>(behind)) text_.resize(dash);
    used_[text_] = *index + 1;

    const auto* const metric = metric_of(text_);
    const auto number = parse_number<std::uint64_t>(energy.text());
    if (energy.error != 0) {
      complain(zone, "energy_uj", energy.error, kJoules.name, out);
    } else if (!number) {
      out.complaints().garbled(zone.path("energy_uj"), energy.text(), "a count",
                               {metric != nullptr ? metric->name : kJoules.name});
    } else if (metric != nullptr) {
      char text[12];
      const auto end = std::to_chars(text, text + sizeof text, *index).ptr;
      path_ = "/sys/class/powercap/";
      path_ += folder;
      out.add(*metric, {{text, static_cast<std::size_t>(end - text)}, path_},
              static_cast<double>(*number) / 1e6);
    }
  }

  const MetricDesc* metric_of(std::string_view zone) {
    name_ = "node_rapl_";
    for (const char c : zone) {
      const bool is_good =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
      name_ += is_good ? c : '_';
    }
    name_ += "_joules_total";
    help_ = "Current RAPL ";
    help_ += zone;
    help_ += " value in joules";
    return kept_metric(name_, help_, kJoules.source, kJoules.type, kJoules.label_names);
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::map<std::string, std::uint32_t> used_;  // zones of a name
  std::string text_;                           // of one zone after the other
  std::string name_;
  std::string help_;
  std::string path_;
};

}  // namespace

CollectorType rapl_collector() {
  return {make_collector<Rapl>};
}

}  // namespace msp::collectors
