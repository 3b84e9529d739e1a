// The half of Buffer that touches the disk. Everything here runs in the disk thread, which may hang
// in any call without holding up a tick or a request: the lock is never held across one.
#include <algorithm>
#include <utility>

#include "agent/buffer/buffer.h"
#include "agent/core/clock.h"
#include "agent/core/text.h"
#include "agent/self/log.h"

namespace msp {
namespace {

constexpr std::int64_t kDiskRetryNs = 10 * kNsPerSecond;
constexpr std::int64_t kProgressEveryNs = 2 * kNsPerSecond;
constexpr std::int64_t kTellDropsEveryNs = 3600 * kNsPerSecond;
constexpr std::size_t kSpillAtOnce = 256;  // scrapes

}  // namespace

void Buffer::run_disk() {
  std::unique_lock lock(mutex_);
  std::int64_t rest_until_ns = 0;  // the last round is not to be followed by another one at once
  while (!closing_) {
    if (!spill_wanted_ && !progress_) {
      disk_wanted_.wait(lock);
      continue;
    }
    auto due_ns = rest_until_ns;
    if (spill_wanted_ && !progress_) {
      if (head_.empty()) {
        spill_wanted_ = false;
        continue;
      }
      due_ns = std::max(due_ns, head_.front().appended_ns + kSpillAfterNs);
    }
    if (memory_only_) due_ns = std::max(due_ns, disk_retry_ns_);
    if (const auto left_ns = due_ns - monotonic_ns(); left_ns > 0) {
      disk_wanted_.wait_for(lock, std::chrono::nanoseconds(left_ns), [&] { return closing_; });
      continue;
    }
    spill_wanted_ = false;
    progress_ = false;
    lock.unlock();
    disk_round(monotonic_ns() - kSpillAfterNs);
    lock.lock();
    spill_wanted_ = spill_wanted_ || !head_.empty();
    rest_until_ns = monotonic_ns() + kProgressEveryNs;
  }
  lock.unlock();
  disk_round(monotonic_ns());
  lock.lock();
  closed_ = true;
  changed_.notify_all();
}

void Buffer::disk_round(std::int64_t appended_until_ns) {
  if (!store_.is_open()) open_store();
  if (store_.is_open()) {
    spill(appended_until_ns);
    apply_limits();
  }
  std::uint64_t needed = 0;
  {
    const std::lock_guard lock(mutex_);
    needed = slowest();
  }
  store_.remove_before(needed);
  save_progress();
}

/// Takes what was appended until then from the head to the store.
void Buffer::spill(std::int64_t appended_until_ns) {
  for (;;) {
    std::vector<Waiting> due;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& waiting : head_) {
        if (waiting.appended_ns > appended_until_ns || due.size() == kSpillAtOnce) break;
        due.push_back(waiting);
      }
    }
    if (due.empty() || !make_room()) return;
    if (const auto stored = store_scrapes(due); !stored) {
      on_disk_failure(stored.error());
      return;
    }
    const std::lock_guard lock(mutex_);
    if (std::exchange(memory_only_, false)) log_info("buffer: writes to disk again");
    trim_head(due.back().sequence + 1);
  }
}

Result<void> Buffer::store_scrapes(const std::vector<Waiting>& due) {
  for (const auto& waiting : due) {
    if (waiting.sequence <= store_.last_sequence()) continue;  // and not synced, the last time
    if (auto appended = store_.append(waiting.sequence, *waiting.scrape); !appended) {
      return appended;
    }
  }
  return store_.sync();
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
                                   kHeadBytesMax >> 20, " MiB"));
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
  std::vector<std::uint64_t> cursors;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& endpoint : endpoints_) cursors.push_back(endpoint.next);
  }
  std::vector<std::uint64_t> samples;
  for (const auto next : cursors) samples.push_back(store_.count_in_segment(*segment, next));

  const auto after = segment->summary.last_sequence + 1;
  std::uint64_t most = 0;
  {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < endpoints_.size(); ++i) {
      auto& endpoint = endpoints_[i];
      if (endpoint.next >= after) continue;  // acknowledged meanwhile
      endpoint.next = after;
      endpoint.state.samples -= std::min<std::size_t>(endpoint.state.samples, samples[i]);
      endpoint.state.dropped[static_cast<std::size_t>(reason)] += samples[i];
      most = std::max(most, samples[i]);
    }
  }
  store_.remove_oldest();
  if (most == 0) return;
  const auto now_ns = monotonic_ns();
  if (drop_told_ns_ != 0 && now_ns - drop_told_ns_ < kTellDropsEveryNs) return;
  drop_told_ns_ = now_ns;
  log_warning(cat("buffer: ", drop_reason_name(reason), " reached: ", grouped(most),
                  " samples dropped, the oldest first; msp_agent_samples_dropped_total counts on"));
}

void Buffer::save_progress() {
  Cursors cursors;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& endpoint : endpoints_) cursors[endpoint.name] = endpoint.next;
  }
  if (cursors == saved_ || !store_.is_open()) return;
  if (const auto saved = save_cursors(*options_.files, options_.folder, cursors)) {
    saved_ = std::move(cursors);
  }
}

void Buffer::on_disk_failure(const Error& error) {
  const std::lock_guard lock(mutex_);
  disk_retry_ns_ = monotonic_ns() + kDiskRetryNs;
  if (std::exchange(memory_only_, true)) return;
  log_warning(cat("buffer: ", error.text, "; samples are kept in memory, up to ",
                  kHeadBytesMax >> 20, " MiB, until the disk works again"));
}

}  // namespace msp
