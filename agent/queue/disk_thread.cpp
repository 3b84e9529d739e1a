// The half of Buffer that touches the disk. Everything here runs in the disk thread, which may hang
// in any call without holding up a tick or a request: the lock is never held across one.
#include <algorithm>
#include <limits>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/queue/queue.h"

namespace msp {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kTellDropsEveryNs = 3600 * kNsPerSecond;
constexpr std::size_t kSpillAtOnce = 256;  // scrapes

/// Whether it is the scrape that cannot be stored, whatever the disk does.
bool is_too_large(const Head::Waiting& waiting) {
  std::string records;
  return !ScrapeEncoder().encode(waiting.sequence, *waiting.scrape, records);
}

std::string_view what_to_do(DropReason reason) {
  switch (reason) {
    case DropReason::max_size:
      return "the outage is longer than buffer.max_size holds; raise it where the disk has room";
    case DropReason::max_age:
      return "the outage is longer than buffer.max_age";
    case DropReason::free_space:
      return "the disk is nearly full; make room on it, or lower buffer.min_free";
    case DropReason::memory:
      return "the disk cannot be used and the memory for samples is full; mend the disk";
    case DropReason::damage:
      return "the disk gave back something else than was written; look at it";
    case DropReason::too_large:
      break;
  }
  return "one scrape has more series than the buffer takes; exclude devices or mount points";
}

}  // namespace

void Buffer::run_disk() {
  std::unique_lock lock(mutex_);
  auto last_round_ns = monotonic_ns() - options_.timing.rest_ns;
  while (!closing_) {
    if (head_.empty()) spill_wanted_ = false;
    const auto due_ns = next_round_ns(last_round_ns);
    if (due_ns == kNever) {
      disk_wanted_.wait(lock);
      continue;
    }
    if (const auto left_ns = due_ns - monotonic_ns(); left_ns > 0) {
      disk_wanted_.wait_for(lock, std::chrono::nanoseconds(left_ns), [&] { return closing_; });
      continue;
    }
    lock.unlock();
    disk_round(monotonic_ns() - options_.timing.spill_after_ns);
    lock.lock();
    last_round_ns = monotonic_ns();
  }
  lock.unlock();
  disk_round(monotonic_ns());
  lock.lock();
  closed_ = true;
  changed_.notify_all();
}

/// A disk that cannot be used, or has no space, is asked again even if nothing waits for it: who
/// watches wants to know that it works again.
std::int64_t Buffer::next_round_ns(std::int64_t last_round_ns) const {
  const auto& timing = options_.timing;
  const auto rested_ns = last_round_ns + timing.rest_ns;
  const auto retry_ns = last_round_ns + timing.retry_ns;
  if (memory_only_) return retry_ns;
  if (progress_) return rested_ns;
  if (spill_wanted_) {
    return std::max(rested_ns, head_.scrapes().front().appended_ns + timing.spill_after_ns);
  }
  return free_space_guard_ ? retry_ns : kNever;
}

void Buffer::disk_round(std::int64_t appended_until_ns) {
  bool recount_wanted = false;
  {
    const std::lock_guard lock(mutex_);
    spill_wanted_ = progress_ = false;
    recount_wanted = std::exchange(recount_wanted_, false);
  }
  open_store_again();
  if (recount_wanted && store_.is_open()) recount();
  bool disk_works = false;
  if (store_.is_open()) {
    disk_works = spill(appended_until_ns);
    apply_limits();
  }
  std::uint64_t needed = 0;
  {
    const std::lock_guard lock(mutex_);
    needed = slowest();
  }
  store_.remove_before(needed);
  save_progress(disk_works);
  const std::lock_guard lock(mutex_);
  if (!head_.empty()) spill_wanted_ = true;
}

/// Where it could not be opened before, or the folder went away (with the lock file) or is another
/// one now, as when a disk is mounted late.
void Buffer::open_store_again() {
  auto& files = *options_.files;
  const bool is_gone = lock_file_ && !files.open(options_.folder + "/lock", FileSystem::Mode::read);
  if (store_.is_open() && !is_gone) return;
  if (is_gone) {
    log_warning(cat("buffer: ", options_.folder, " is gone, or another folder now: was a disk ",
                    "mounted there? It is made or opened again"));
    lock_file_.reset();
  }
  open_store();
  if (!store_.is_open()) return;
  const auto oldest = store_.oldest();
  const auto cursors = load_cursors(files, options_.folder);
  {
    const std::lock_guard lock(mutex_);
    if (cursors) saved_ = *cursors;
    count_holes();
    next_sequence_ = std::max(next_sequence_, store_.last_sequence() + 1);
    for (auto& endpoint : endpoints_) {
      if (!oldest || is_gone) break;
      if (endpoint.name.empty()) continue;
      // What was acknowledged meanwhile is newer than all that is here.
      Acknowledged acknowledged(oldest->summary.first_sequence);
      const auto end = store_.last_sequence() + 1;
      if (const auto saved = saved_.find(endpoint.name); saved != saved_.end()) {
        acknowledged.add_from(saved->second, 0);
        acknowledged.cut(end);
      }
      acknowledged.add_from(endpoint.acknowledged, end);
      endpoint.acknowledged = std::move(acknowledged);
    }
  }
  recount();
}

/// As they are now, without the lock: more may come, none goes.
std::vector<Buffer::Endpoint*> Buffer::endpoints() {
  const std::lock_guard lock(mutex_);
  std::vector<Endpoint*> all;
  for (auto& endpoint : endpoints_) all.push_back(&endpoint);
  return all;
}

/// After the store is not what it was. What is missing is counted as lost.
void Buffer::recount() {
  for (auto* const endpoint : endpoints()) {
    std::uint64_t stored = 0;
    const auto lock = count_without_lock(*endpoint, stored, [&](const Acknowledged& acknowledged) {
      return store_.count_samples(acknowledged);
    });
    auto& state = endpoint->state;
    const std::size_t samples =
        stored + samples_in_head(endpoint->acknowledged, store_.last_sequence() + 1);
    if (samples < state.samples) {
      state.dropped[static_cast<std::size_t>(DropReason::damage)] += state.samples - samples;
    }
    state.samples = samples;
  }
}

/// Takes the lock when `count` has returned `samples` for what the endpoint has acknowledged now.
template <typename Count>
std::unique_lock<std::mutex> Buffer::count_without_lock(Endpoint& endpoint, std::uint64_t& samples,
                                                        Count count) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto acknowledged = endpoint.acknowledged;
    lock.unlock();
    samples = count(acknowledged);
    lock.lock();
    if (acknowledged == endpoint.acknowledged) return lock;
  }
}

/// Takes what was appended until then from the head to the store. False where the disk failed.
bool Buffer::spill(std::int64_t appended_until_ns) {
  for (;;) {
    std::vector<Head::Waiting> due;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& waiting : head_.scrapes()) {
        if (waiting.appended_ns > appended_until_ns || due.size() == kSpillAtOnce) break;
        due.push_back(waiting);
      }
    }
    if (!make_room() || due.empty()) return true;
    std::uint64_t stored_until = 0;
    const auto stored = store_scrapes(due, stored_until);
    {
      const std::lock_guard lock(mutex_);
      trim_head(stored_until);
    }
    if (!stored) {
      on_disk_failure(stored.error());
      return false;
    }
    on_disk_works();
  }
}

/// What fits is kept: `stored_until` is the last sequence that is safe, 0 where there is none.
Result<void> Buffer::store_scrapes(const std::vector<Head::Waiting>& due,
                                   std::uint64_t& stored_until) {
  Result<void> appended;
  std::uint64_t last = 0;
  for (const auto& waiting : due) {
    if (waiting.sequence > store_.last_sequence()) {
      appended = store_.append(waiting.sequence, *waiting.scrape);
      if (!appended && is_too_large(waiting)) {
        appended = {};
        drop_too_large(waiting);
        continue;
      }
      if (!appended) break;
    }
    last = waiting.sequence;
  }
  if (last == 0) return appended;
  if (auto synced = store_.sync(); !synced) return synced;
  stored_until = std::min(last, store_.last_sequence());
  return appended;
}

/// It is delivered to who takes it from memory; it would hold up those behind it for ever.
void Buffer::drop_too_large(const Head::Waiting& waiting) {
  const auto samples = waiting.scrape->values.size();
  {
    const std::lock_guard lock(mutex_);
    for (auto& endpoint : endpoints_) {
      if (endpoint.acknowledged.contains(waiting.sequence)) continue;
      drop(endpoint, {waiting.sequence, waiting.sequence}, samples, DropReason::too_large);
    }
    trim_head(0);
  }
  tell_drops(DropReason::too_large, samples);
}

/// Whether the store may write: what it must leave free of its file system is free, if need be by
/// giving up its own oldest segments.
bool Buffer::make_room() {
  for (;;) {
    const auto space = options_.files->space(options_.folder);
    if (!space) return true;  // the write will say what is wrong
    const auto keep_free = std::min(options_.limits.free_bytes_min, space->total_bytes / 20);
    const bool has_room = space->free_bytes >= keep_free;
    const bool can_give = store_.oldest().has_value();
    if (has_room || !can_give) {
      const std::lock_guard lock(mutex_);
      if (std::exchange(free_space_guard_, !has_room) == has_room) {
        log_warning(has_room ? cat("buffer: enough space again on ", options_.folder)
                             : cat("buffer: less than ", keep_free >> 20, " MiB free on ",
                                   options_.folder, ": samples are kept in memory, up to ",
                                   kHeadBytesMax >> 20, " MiB; make room there"));
      }
      return has_room;
    }
    drop_oldest_segment(DropReason::free_space);
  }
}

void Buffer::apply_limits() {
  const auto& limits = options_.limits;
  while (store_.totals().bytes > limits.bytes_max) drop_oldest_segment(DropReason::max_size);
  for (;;) {
    const auto oldest = store_.oldest();
    const auto newest = store_.find(store_.last_sequence());
    if (!oldest || !newest) return;
    const auto age_ms = newest->summary.last_timestamp_ms - oldest->summary.last_timestamp_ms;
    if (age_ms <= limits.age_max.count()) return;
    drop_oldest_segment(DropReason::max_age);
  }
}

void Buffer::drop_oldest_segment(DropReason reason) {
  const auto segment = store_.oldest();
  if (!segment) return;
  const auto& summary = segment->summary;
  std::uint64_t most = 0;
  for (auto* const endpoint : endpoints()) {
    std::uint64_t samples = 0;
    const auto lock = count_without_lock(*endpoint, samples, [&](const Acknowledged& acknowledged) {
      return store_.count_in_segment(*segment, acknowledged);
    });
    drop(*endpoint, {0, summary.last_sequence}, samples, reason);
    most = std::max(most, samples);
  }
  store_.remove_oldest();
  tell_drops(reason, most);
}

void Buffer::tell_drops(DropReason reason, std::uint64_t samples) {
  const auto now_ns = monotonic_ns();
  if (samples == 0 || (drop_told_ns_ != 0 && now_ns - drop_told_ns_ < kTellDropsEveryNs)) return;
  drop_told_ns_ = now_ns;
  log_warning(cat("buffer: ", grouped(samples), " samples dropped, reason ",
                  drop_reason_name(reason), ": ", what_to_do(reason),
                  "; msp_agent_samples_dropped_total counts on"));
}

/// A cursor in the file never points beyond what was on disk at some time: a power cut cannot make
/// it point at scrapes that get the same sequence later. It is also what a disk that failed is
/// tried with when there is nothing else to write.
void Buffer::save_progress(bool disk_works) {
  Cursors cursors;
  bool is_trial = false;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& endpoint : endpoints_) {
      if (endpoint.name.empty()) continue;
      const auto saved = saved_.find(endpoint.name);
      const auto known =
          std::max(store_.last_sequence() + 1, saved != saved_.end() ? saved->second.end() : 0);
      auto& acknowledged = cursors[endpoint.name] = endpoint.acknowledged;
      acknowledged.cut(known);
    }
    is_trial = memory_only_;
  }
  if (!disk_works || (cursors == saved_ && !is_trial)) return;
  const auto saved = save_cursors(*options_.files, options_.folder, cursors);
  if (!saved) return on_disk_failure(saved.error());
  on_disk_works();
  const std::lock_guard lock(mutex_);
  saved_ = std::move(cursors);
}

void Buffer::on_disk_failure(const Error& error) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(memory_only_, true)) return;
  log_warning(cat("buffer: ", error.text, "; samples are kept in memory, up to ",
                  kHeadBytesMax >> 20, " MiB, until the disk works again"));
}

void Buffer::on_disk_works() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(memory_only_, false)) log_info("buffer: writes to disk again");
}

}  // namespace msp
