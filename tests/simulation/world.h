// One simulated host with its agent, disk, clock and centres, all of it from one seed. The agent is
// the real queue, spiller and senders; the clock, the files and the centres are simulated. It runs
// in one thread, so that a seed always gives the same run.
//
// While faults happen: centres that are down, slow or refuse; disks that fail, are full, or are
// mounted late; steps of the clock; stops, kills and power cuts at any call that changes a file, and
// at any point of a request. Then they end, and everything must drain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "agent/base/stop_token.h"
#include "agent/delivery/sender.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/simulation/centre.h"
#include "tests/simulation/ledger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_file_system.h"

namespace msp::simulation {

/// What one seed has shown.
struct Outcome {
  std::vector<std::string> violations;  // of the promises; empty: all were kept
  std::int64_t simulated_ns = 0;
  std::size_t samples = 0;
  std::size_t excused = 0;  // lost as documented
  std::size_t counted = 0;  // dropped or refused, for a counted reason
  std::size_t deaths = 0;   // kills and power cuts
  std::size_t jumps = 0;    // of the clock, by a month or more
  std::size_t pauses = 0;   // of the process, of an hour or more
};

class World {
 public:
  /// What a seed may have.
  enum class Faults {
    all,
    clocks,  // jumps of the wall clock by years, both ways, suspends, the whole process stopped for hours; outages
  };
  World(std::uint64_t seed, bool trace, Faults faults = Faults::all);
  ~World();

  Outcome run();

 private:
  /// Which faults a seed has: a few each, so that each also happens without the others.
  struct Plan {
    bool outages, refusals, lost_answers, disk_errors, read_errors, full_disk, log_errors, kills,
        power_cuts, stops, late_mounts, clock_steps, suspends, slow_spiller, small_disk, short_age,
        log_on_disk;
  };
  struct Source {
    metrics::StreamPtr stream;
    bool is_relay = false;
    std::int64_t interval_ns = 0;
    std::size_t series = 0;  // in the next scrape
    std::vector<std::size_t> numbers;
    std::vector<std::shared_ptr<const metrics::SeriesSet>> sets;  // by the number of series
    std::set<std::int64_t> times_ms;
  };
  /// What the agent has of an endpoint in one life.
  struct Delivery {
    delivery::EndpointStats stats{"http://centre"};
    std::unique_ptr<delivery::Sender> sender;
    std::int64_t due_ns = kNeverNs;
    bool is_busy = false;
    bool is_woken = false;
    std::size_t steps_at_once = 0;
    std::int64_t last_step_ns = 0;
  };
  struct Endpoint {
    config::EndpointConfig config;
    std::unique_ptr<Centre> centre;
    int mode_number = 0;
    std::unique_ptr<Delivery> delivery;
    // Over all lives.
    std::uint64_t dropped[queue::kDropReasons] = {};
    std::uint64_t rejected = 0;
    std::uint64_t duplicates = 0;
    bool was_cut_short = false;  // by a stop
  };
  struct Span {
    std::int64_t begin_ns;
    std::int64_t end_ns;  // kNeverNs: it goes on
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool chance(unsigned percent) { return below(100) < percent; }
  std::int64_t duration(std::int64_t min_ns, std::int64_t max_ns);
  template <typename... Parts>
  void tell(const Parts&... parts);

  void make_plan();
  void make_sources();
  void make_endpoints();
  Centre::Nature nature_of_a_centre();

  bool is_dead() const { return is_killed_ || files_.stopped(); }
  void start();
  void bury();
  void die();
  void stop_in_order();
  void lose_memory(bool spilled);
  void excuse_unlogged();
  std::int64_t safe_until_ns(const std::vector<Span>& spans, std::int64_t recovery_ns) const;
  std::int64_t window_ns() const;

  void produce(Source& source);
  void append(Source& source);
  void wake_sender(std::size_t number, std::int64_t at_ns);
  void step_sender(std::size_t number);
  void wake_spiller(std::int64_t at_ns);
  http::HttpAnswer post(std::size_t number, std::string_view body,
                        const std::vector<std::string>& headers);

  void fate();
  void jump_or_pause();
  void plan_death();
  void set_mode(Endpoint& endpoint, Mode mode, std::int64_t for_ns);
  void fail_disk(std::int64_t for_ns);
  void fail_reads(std::int64_t for_ns);
  void end_of_disk_fault();
  void mount();
  void end_faults();
  bool is_drained() const;
  void check(Outcome& outcome);
  void check_endpoint(std::size_t number, Outcome& outcome);
  void violation(Outcome& outcome, std::string text);

  const std::uint64_t seed_;
  const bool is_traced_;
  const Faults faults_;
  std::size_t jumps_ = 0;
  std::size_t pauses_ = 0;
  std::int64_t wants_pause_ns_ = 0;
  std::mt19937_64 random_;
  test::FakeClock clock_;
  test::MemoryFileSystem files_;
  queue::Queue::Options options_;
  Plan plan_{};
  std::int64_t send_every_ns_ = 0;
  std::int64_t interval_ns_ = 0;
  Ledger ledger_;
  std::deque<Source> sources_;
  std::deque<Endpoint> endpoints_;

  // The agent, while it runs.
  std::unique_ptr<queue::Queue> queue_;
  std::unique_ptr<queue::Spiller> spiller_;
  std::unique_ptr<StopSource> stop_;
  std::uint64_t life_ = 0;
  std::int64_t spiller_due_ns_ = kNeverNs;
  std::int64_t last_round_ns_ = 0;
  std::int64_t spiller_hangs_until_ns_ = 0;

  bool is_over_ = false;  // no more faults
  bool is_producing_ = true;
  bool is_killed_ = false;
  bool wants_kill_in_post_ = false;
  bool wants_stop_ = false;
  bool wants_power_cut_ = false;
  bool is_mounted_ = true;
  bool log_is_covered_ = false;  // the disk was mounted over it
  std::vector<Span> disk_faults_;
  std::vector<Span> log_faults_;
  std::size_t deaths_ = 0;
  std::set<Mode> modes_;  // that were
  bool has_late_mount_ = false;
};

}  // namespace msp::simulation
