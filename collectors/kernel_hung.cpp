// kernel_hung: how many tasks the kernel has found hung since the boot, from
// /proc/sys/kernel/hung_task_detect_count, the only number in it. Kernels before 6.13, and those
// without CONFIG_DETECT_HUNG_TASK, do not have it.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kTasks{
    "node_kernel_hung_tasks_total",
    "Total number of tasks that have been detected as hung since the system booted.",
    "/proc/sys/kernel/hung_task_detect_count", MetricType::counter};

class KernelHung : public Collector {
 public:
  explicit KernelHung(const CollectorContext& context)
      : file_(context.paths.proc("sys/kernel/hung_task_detect_count")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    if (add_number(file_, kTasks, out)) return {};
    return no_data(cat(file_.path(), ": no such file"));
  }

 private:
  NumberFile file_;
};

}  // namespace

CollectorType kernel_hung_collector() {
  return {make_collector<KernelHung>};
}

}  // namespace msp::collectors
