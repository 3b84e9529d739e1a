// A fleet whose centre is away for a while: what the centre is asked, second by second.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace msp::simulation {

/// The agents behave like each other and know nothing of each other, and a centre that answers is not
/// at its limit: so they run one after the other, each with a clock of its own, and what they do in
/// the same second is added up.
struct FleetPlan {
  std::size_t agents = 10'000;
  std::size_t series = 100;
  std::int64_t interval_s = 15;
  std::int64_t before_s = 300;  // the centre works
  std::int64_t outage_s =
      3'600;  // a proxy answers 502, as nginx does before a storage that is away
  std::int64_t after_s = 900;
};

struct FleetOutcome {
  struct Second {
    std::uint64_t live = 0;
    std::uint64_t backlog = 0;  // with what is older than an interval and a half
    std::uint64_t refused = 0;
    std::uint64_t all() const { return live + backlog + refused; }

    void add(const Second& other) {
      live += other.live;
      backlog += other.backlog;
      refused += other.refused;
    }
  };

  std::vector<Second> seconds;  // from the beginning of the outage
  std::uint64_t appended = 0;   // samples
  std::uint64_t stored = 0;
  std::uint64_t lost = 0;             // neither stored nor kept
  std::uint64_t twice = 0;            // stored again
  std::int64_t fresh_ns_max = 0;      // from the return to the agent's newest scrape
  std::int64_t caught_up_ns_max = 0;  // from the return until nothing waits
};

/// One agent; `outcome` gets what it did.
void run_agent(const FleetPlan& plan, std::size_t number, FleetOutcome& outcome);

}  // namespace msp::simulation
