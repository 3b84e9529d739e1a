// Calls each source at its own time, on one thread. All of an agent stand on grids with one phase,
// derived from its identity: sources of one interval share their wake-ups, and hosts do not report
// in the same millisecond. Those that want to be spread have a phase of their own, which their name
// is a part of, and which is the same after a restart. A source that has begun and is not ready is
// looked at when it asks for it and finished at its deadline; the others go on meanwhile.
//
// Promised: a stream has no timestamp twice within an hour's ticks, whatever the wall clock does: a
// scrape that would repeat one is moved by as few milliseconds as it takes.
//
// Main thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/clock.h"
#include "agent/sources/schedule.h"
#include "agent/sources/source.h"

namespace msp::sources {

/// The timestamps that a stream has used lately.
class Stamps {
 public:
  explicit Stamps(std::chrono::nanoseconds interval);

  /// `wanted_ms`, or the first after it that was not given before; it is used from now on.
  std::int64_t take(std::int64_t wanted_ms);

 private:
  std::size_t kept_max_;
  std::deque<std::int64_t> used_;  // in the order in which they were given
  std::int64_t newest_ms_ = INT64_MIN;
};

class Scheduler {
 public:
  struct Setup {
    Clock& clock;          // outlives the scheduler
    std::string identity;  // what tells this agent from others
    std::function<void(const Source& source, metrics::Scrape scrape)> on_scrape;
    /// What Source::take_timed() has beside that scrape.
    std::function<void(metrics::Scrape scrape)> on_timed = nullptr;
    /// Ticks of the source that were not made: the host was suspended or overloaded.
    std::function<void(const Source& source, std::uint64_t ticks)> on_missed = nullptr;
  };

  explicit Scheduler(Setup setup);
  ~Scheduler();

  /// Adds a source, whose first tick is due at once. It takes the place of one of the same name: on
  /// its grid, if the interval is the same, and what the new one does not report ends. Sources are
  /// begun in the order in which they were added: best is the one first that only starts something.
  void add(std::unique_ptr<Source> source);

  /// All of the source's series end.
  void remove(std::string_view name);

  /// Another identity moves all grids.
  void set_identity(std::string identity);

  /// When run() wants to be called (Clock::boottime_ns).
  std::int64_t due_ns() const;

  /// Begins what is due, finishes what is ready or at its deadline. Also to be called when a source
  /// has used its Wakeup.
  void run();

  /// Finishes what has begun with what is there, and begins nothing any more: the agent stops. A
  /// target that has not answered is left as it is.
  void stop();

  /// In the order in which they were added.
  std::vector<const Source*> sources() const;

  /// Scrapes whose timestamp was moved.
  std::uint64_t moved() const { return moved_; }

 private:
  struct Entry;
  struct Finished {
    Source* source;
    metrics::Scrape scrape;
  };

  Entry* find(std::string_view name);
  void begin(Entry& entry, std::int64_t now_ns);
  void finish_ready(std::int64_t now_ns, std::vector<Finished>& finished);
  void finish_early(Entry& entry, std::vector<Finished>& finished);
  metrics::Scrape finish(Entry& entry);
  void deliver(std::vector<Finished> finished);
  Schedule make_schedule(const Source& source) const;

  Setup setup_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::uint64_t moved_ = 0;
};

}  // namespace msp::sources
