// The source `host`: the collectors of one tick, and what is known of their run: up,
// node_scrape_collector_success, node_scrape_collector_duration_seconds. Costly collectors are those
// of a second source of this class, host_costly, at an interval of its own and without up.
//
// A collector that has no data here is asked once a minute only; meanwhile it has the outcome of its
// last tick.
//
// What can hang is begun first and collected last; between these the other collectors read, at the
// moment of the timestamp. A mount that hangs makes the scrape late, but no value older or younger
// than its timestamp says.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/wakeup.h"
#include "agent/sources/source.h"
#include "collectors/collector.h"
#include "collectors/registry.h"

namespace msp::sources {

inline constexpr std::string_view kHostSource = "host";
inline constexpr std::string_view kCostlySource = "host_costly";

/// Of `collectors`, those that are costly, or those that are not.
std::vector<std::string> collectors_of(const std::vector<std::string>& collectors, bool is_costly);

/// Owns the collectors and their files.
class HostSource final : public Source {
 public:
  /// What a collector's outcome changed to: called when it begins to fail, fails in another way, or
  /// works again (`error` is null), not at every tick.
  using OnHealthChange = std::function<void(std::string_view collector, const Error* error)>;
  /// What a collector leaves out, because the kernel has garbled it, has changed.
  using OnComplaint =
      std::function<void(std::string_view collector, std::string_view text, bool is_over)>;
  /// Adds samples of the agent itself to each scrape.
  using SelfSamples = std::function<void(metrics::SeriesWriter& out)>;

  struct Setup {
    std::string name = std::string(kHostSource);
    std::vector<std::string> collectors;  // names of the registry
    collectors::HostPaths paths = {};
    std::map<std::string, collectors::CollectorOptions> options =
        {};                                 // by collector; none: its options()
    std::chrono::milliseconds interval{0};  // 0: not known
    metrics::TargetLabels labels = {};
    std::size_t series_max = metrics::kSeriesMaxDefault;
    metrics::SeriesCount series_count = nullptr;  // shared with the other source; null: its own
    std::shared_ptr<metrics::SeriesRoom> room = nullptr;
    metrics::Relabel relabel = nullptr;
    metrics::Relabel relabel_about = nullptr;
    collectors::Host host = {};
    Clock* clock = &real_clock();
    std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
    OnHealthChange on_health_change = [](std::string_view, const Error*) {};
    OnComplaint on_complaint = [](std::string_view, std::string_view, bool) {};
    /// Empty: nothing is said of the agent itself, not even up.
    SelfSamples self_samples = [](metrics::SeriesWriter&) {};
    bool is_tick = true;  // false: a scrape of self_samples alone, without up
  };

  /// How a collector's last tick went.
  struct Outcome {
    std::string_view name;
    bool success = false;
    bool has_data = true;  // false: the host does not have what it reads, and never mind
    double duration_seconds = 0;
    std::size_t series = 0;
    std::string_view error;  // empty: it worked
  };

  explicit HostSource(Setup setup);
  ~HostSource() override;

  void begin(const metrics::Tick& tick) override;
  std::int64_t wait_ns() override;
  metrics::Scrape finish(const metrics::Tick& tick) override;
  SourceHealth health() const override;

  /// Valid until the next tick.
  std::vector<Outcome> outcomes() const;

 private:
  struct Part {
    std::string_view name;
    std::unique_ptr<collectors::Collector> collector;
    metrics::SeriesWriter* writer;
    bool has_begun = false;          // collected at the end of the tick
    bool empty_is_absent = false;    // CollectorType's
    bool is_asked = true;            // in this tick
    std::int64_t not_before_ns = 0;  // it has no data: when to ask again, monotonic
    std::optional<Error> begin_error = std::nullopt;
    std::int64_t took_ns = 0;
    bool success = false;
    bool has_data = true;
    std::size_t series = 0;
    std::string last_error = {};  // empty: it worked
  };

  void add_parts(bool that_give_way);
  void begin(Part& part);
  void collect(Part& part);
  void take(Part& part, Result<void> outcome, bool has_complained);
  void add_health(metrics::SeriesWriter& out);
  void tell_duplicates();

  Setup setup_;
  FileTable files_;
  std::vector<Part> parts_;
  metrics::SeriesWriter* self_;
  metrics::Tick tick_;         // stamped when the fast collectors were read
  std::int64_t begun_ns_ = 0;  // the end of begin(), monotonic
  bool told_duplicates_ = false;
};

}  // namespace msp::sources
