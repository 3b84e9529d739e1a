// entropy: bits in the pool of the kernel's random number generator, from /proc/sys/kernel/random
// (random(4)), a number per file. Since 5.18 both are always 256.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/number_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kAvailable{"node_entropy_available_bits", "Bits of available entropy.",
                                "/proc/sys/kernel/random/entropy_avail"};
constexpr MetricDesc kPoolSize{"node_entropy_pool_size_bits", "Bits of entropy pool.",
                               "/proc/sys/kernel/random/poolsize"};

class Entropy : public Collector {
 public:
  explicit Entropy(const CollectorContext& context)
      : available_(context.paths.proc("sys/kernel/random/entropy_avail")),
        pool_size_(context.paths.proc("sys/kernel/random/poolsize")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const bool has_available = add_number(available_, kAvailable, out);
    const bool has_pool_size = add_number(pool_size_, kPoolSize, out);
    if (has_available || has_pool_size) return {};
    return no_data(cat(available_.path(), ": no such file"));
  }

 private:
  NumberFile available_;
  NumberFile pool_size_;
};

}  // namespace

CollectorType entropy_collector() {
  return {make_collector<Entropy>};
}

}  // namespace msp::collectors
