// ksmd: what merging equal pages of memory saves and how it is set, from /sys/kernel/mm/ksm
// (Documentation/admin-guide/mm/ksm.rst), a number per file. What a kernel does not have is left
// out.
#include <iterator>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_file.h"

namespace msp::collectors {
namespace {

struct Value {
  std::string_view file;
  MetricDesc family;
  double per_unit = 1;
};

#define MSP_KSMD(file, name, type, per_unit)                                     \
  {                                                                              \
    file,                                                                        \
        {"node_ksmd_" name, "ksmd '" file "' file.", "/sys/kernel/mm/ksm/" file, \
         MetricType::type},                                                      \
        per_unit                                                                 \
  }
constexpr Value kValues[] = {
    MSP_KSMD("full_scans", "full_scans_total", counter, 1),
    MSP_KSMD("merge_across_nodes", "merge_across_nodes", gauge, 1),
    MSP_KSMD("pages_shared", "pages_shared", gauge, 1),
    MSP_KSMD("pages_sharing", "pages_sharing", gauge, 1),
    MSP_KSMD("pages_to_scan", "pages_to_scan", gauge, 1),
    MSP_KSMD("pages_unshared", "pages_unshared", gauge, 1),
    MSP_KSMD("pages_volatile", "pages_volatile", gauge, 1),
    MSP_KSMD("run", "run", gauge, 1),
    MSP_KSMD("sleep_millisecs", "sleep_seconds", gauge, 1e3),
};
#undef MSP_KSMD

class Ksmd : public Collector {
 public:
  explicit Ksmd(const CollectorContext& context) {
    for (const auto& value : kValues) {
      files_.emplace_back(context.paths.sys(cat("kernel/mm/ksm/", value.file)));
    }
  }

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    bool is_there = false;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      is_there = add_number(files_[i], kValues[i].family, out, kValues[i].per_unit) || is_there;
    }
    if (is_there) return {};
    return no_data(cat(files_.front().path(), ": no such file"));
  }

 private:
  std::vector<NumberFile> files_;  // of kValues
};

}  // namespace

CollectorType ksmd_collector() {
  return {make_collector<Ksmd>};
}

}  // namespace msp::collectors
