// The exporters and probes of a configuration as sources of the scheduler: made, replaced where their
// configuration changes, and taken away, and what the log has about them: a line when one goes down,
// one when it is up again.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/result.h"
#include "agent/base/wakeup.h"
#include "agent/config/probe_target.h"
#include "agent/config/scrape_target.h"
#include "agent/http/transfers.h"
#include "agent/sources/exporter.h"
#include "agent/sources/scheduler.h"

namespace msp::run {

/// Main thread only. Without targets it holds nothing: no thread, no descriptor.
class Targets {
 public:
  struct Setup {
    std::shared_ptr<const Wakeup> wakeup;
    std::shared_ptr<metrics::SeriesRoom> room = nullptr;  // that targets keep to
    std::function<void(const std::string& reason)> on_thread_failure = [](const std::string&) {};
    /// Told when a target goes down, and when it is up again (null).
    std::function<void(std::string_view target, const Error* error)> on_health_change;
    /// Lines that a target exposes and that are no samples: when there begin to be some.
    std::function<void(std::string_view target, std::string_view text)> on_bad_lines;
  };

  explicit Targets(Setup setup) : setup_(std::move(setup)) {}

  /// Sources for the targets of `config` that `before` does not have, or not the same; `drop` is
  /// called with the names of those that are gone.
  std::vector<std::unique_ptr<sources::Source>> set(
      const config::Config& config, const config::Config& before,
      const std::function<void(const std::string& name)>& drop = {});

  /// How its last scrape went.
  void tell(const sources::Source& source);

 private:
  struct Known {
    bool is_down = false;
    bool has_bad_lines = false;
  };

  std::unique_ptr<sources::Source> make(const config::ScrapeTarget& target,
                                        const config::Config& config);
  std::unique_ptr<sources::Source> make(const config::ProbeTarget& target,
                                        const config::Config& config);
  http::Transfers& transfers();
  template <typename Target, typename IsSame>
  void replace(const std::vector<Target>& targets, std::vector<Target> before,
               const config::Config& config, const IsSame& is_same,
               const std::function<void(const std::string& name)>& drop,
               std::vector<std::unique_ptr<sources::Source>>& sources);

  const Setup setup_;
  std::unique_ptr<http::Transfers> transfers_;       // from the first target on
  std::map<std::string, Known, std::less<>> known_;  // by name
};

}  // namespace msp::run
