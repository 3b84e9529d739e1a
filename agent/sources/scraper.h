// Runs the collectors of one tick and makes a Scrape of what they report, together with what is
// known of the run: up, node_scrape_collector_success, node_scrape_collector_duration_seconds.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/metrics/scrape.h"
#include "collectors/collector.h"
#include "collectors/registry.h"

namespace msp {

/// Main thread only. Owns the collectors and their files.
class Scraper {
 public:
  /// What a collector's outcome changed to: called when it begins to fail, fails in another way, or
  /// works again
  /// (`error` is null), not at every tick.
  using OnHealthChange = std::function<void(std::string_view collector, const Error* error)>;
  /// What a collector leaves out, because the kernel has garbled it, has changed.
  using OnComplaint =
      std::function<void(std::string_view collector, std::string_view text, bool is_over)>;
  /// Adds samples of the agent itself to each scrape.
  using SelfSamples = std::function<void(SampleWriter& out)>;

  struct Setup {
    std::vector<std::string> collectors;  // names of the registry
    HostPaths paths;
    CollectorOptions options;
    TargetLabels labels;
    Host host;
    OnHealthChange on_health_change = [](std::string_view, const Error*) {};
    OnComplaint on_complaint = [](std::string_view, std::string_view, bool) {};
    SelfSamples self_samples = [](SampleWriter&) {};
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

  explicit Scraper(Setup setup);
  ~Scraper();

  /// One tick: `wall_ns` is the timestamp of all samples. A collector that fails costs its own
  /// samples only.
  Scrape scrape(std::int64_t wall_ns);

  /// Valid until the next tick.
  std::vector<Outcome> outcomes() const;

 private:
  struct Part {
    std::string_view name;
    std::unique_ptr<Collector> collector;
    SampleWriter* writer;
    bool success = false;
    bool has_data = true;
    double duration_seconds = 0;
    std::size_t series = 0;
    std::string last_error = {};  // empty: it worked
  };

  void run(Part& part, const Tick& tick);
  void add_health(SampleWriter& out);

  Setup setup_;
  FileTable files_;
  ScrapeBuilder builder_;
  std::vector<Part> parts_;
  SampleWriter* self_;
  std::uint64_t ticks_ = 0;
};

}  // namespace msp
