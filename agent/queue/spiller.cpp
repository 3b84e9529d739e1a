#include "agent/queue/spiller.h"

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include "agent/base/text.h"

namespace msp::queue {
namespace {

constexpr std::int64_t kTellDropsEveryNs = 3600 * kNsPerSecond;
constexpr std::size_t kSpillAtOnce = 256;  // entries
// Of requests that become one, decompressed: so much memory it takes to join them, and one request
// of a sender has them as a whole.
constexpr std::uint64_t kJoinedBytesMax = std::uint64_t{2} << 20;
// An age by the wall clock counts when the clock has made no step for as long as this.
constexpr std::int64_t kTrustedAfterNs = 3600 * kNsPerSecond;
constexpr std::int64_t kStepNs = 60 * kNsPerSecond;

/// Whether it is the entry that cannot be stored, whatever the disk does.
bool is_too_large(const Entry& entry) {
  std::string records;
  ScrapeEncoder encoder;
  const auto encoded = entry.scrape ? encoder.encode(entry.first_sequence, *entry.scrape, records)
                                    : encoder.encode(entry.first_sequence, entry.last_sequence,
                                                     *entry.request, records);
  return !encoded && !encoder.is_out_of_memory();
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
      return "the disk cannot be used and the memory for samples is full; repair the disk";
    case DropReason::damage:
      return "the disk gave back something else than was written; look at it";
    case DropReason::too_large:
      break;
  }
  return "one scrape has more series than the buffer takes; exclude devices or mount points";
}

}  // namespace

Spiller::Spiller(Queue& queue)
    : queue_(queue),
      segments_(queue.segments()),
      options_(queue.options()),
      clock_(*options_.clock) {
  wall_ahead_ns_ = clock_.wall_ns() - clock_.boottime_ns();
  trusted_from_ns_ = clock_.boottime_ns();
  queue_.set_wake_spiller([this] { wake(); });
}

Spiller::~Spiller() {
  queue_.set_wake_spiller([] {});
}

void Spiller::wake() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_woken_, true)) return;
  }
  woken_.notify_one();
}

void Spiller::run(const StopToken& stop) {
  const StopCallback on_stop(stop, [this] {
    { const std::lock_guard lock(mutex_); }
    woken_.notify_one();
  });
  auto due_ns = clock_.monotonic_ns();
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      while (!stop.stop_requested()) {
        if (std::exchange(is_woken_, false)) {
          due_ns = std::min(due_ns, last_round_ns_ + options_.timing.rest_ns);
        }
        if (clock_.monotonic_ns() >= due_ns) break;
        clock_.wait(lock, woken_, due_ns);
      }
    }
    if (stop.stop_requested()) break;
    due_ns = round();
  }
  round(true);
}

std::int64_t Spiller::round(bool everything) {
  last_round_ns_ = clock_.monotonic_ns();
  const bool can_write = has_folder();
  if (can_write) {
    // Before there are segments with numbers that it does not know: the sync of the folder that makes
    // these durable does so with the file.
    save_offsets_now(false);
    look_at_unread();
    const bool works = spill(everything);
    apply_limits();
    segments_.remove_done(
        [this](std::uint64_t first, std::uint64_t last) { return queue_.is_done(first, last); });
    save_offsets_now(works);
  }
  return next_round_ns();
}

/// A disk that cannot be used, or has no space, is asked again even if nothing waits for it: an
/// operator wants to know that it works again.
std::int64_t Spiller::next_round_ns() const {
  const auto& timing = options_.timing;
  const auto rested_ns = last_round_ns_ + timing.rest_ns;
  auto due_ns = queue_.spill_due_ns();
  if (due_ns != kNeverNs) due_ns = std::max(due_ns, rested_ns);
  const auto retry_ns = last_round_ns_ + timing.retry_ns;
  if (has_failed_) return retry_ns;
  return lacks_space_ || !segments_.empty() ? std::min(due_ns, retry_ns) : due_ns;
}

/// Whether there is a folder that this process has locked and that its path leads to.
bool Spiller::has_folder() {
  const auto current = segments_.folder();
  if (current != nullptr) {
    const auto is_there = current->is_at_path();
    if (!is_there || *is_there) {
      told_other_folder_ = false;
      return true;  // what is wrong with it the next write says
    }
    if (!std::exchange(told_other_folder_, true)) {
      tell(Notice::Severity::warning,
           cat(options_.folder, " is gone, or another folder now: was a disk mounted there? It is ",
               "made or opened again"));
    }
  }
  auto opened = queue_.open_folder();
  if (!opened.folder) {
    on_failure(opened.folder.error());
    return false;
  }
  switch_folder(*opened.folder);
  return segments_.folder() == *opened.folder;
}

/// What is in the folder was written by an earlier process, or by this one before another file
/// system was mounted over it.
void Spiller::switch_folder(const std::shared_ptr<Folder>& folder) {
  const auto before = segments_.all();
  const auto folder_before = segments_.folder();
  auto offsets = load_offsets(*folder);
  const auto retry_ns = clock_.monotonic_ns() + options_.timing.retry_ns;
  auto taken = segments_.take_over(
      folder, [this](auto first, auto last) { return queue_.claim(first, last); }, retry_ns);
  if (!taken) return on_failure(taken.error());
  if (folder_before != nullptr) left_.push_back(folder_before);
  queue_.add_damage(taken->damaged_regions);
  for (auto& text : taken->told) tell(Notice::Severity::warning, std::move(text));
  std::vector<Segments::Segment> late;
  for (auto& segment : segments_.all()) {
    const bool is_known = std::any_of(before.begin(), before.end(), [&](const auto& other) {
      return other.name == segment.name;
    });
    if (!is_known) late.push_back(std::move(segment));
  }
  saved_.clear();
  told_other_folder_ = false;
  queue_.take_in(late, offsets ? *offsets : Offsets());
  if (taken->samples > 0) {
    tell(Notice::Severity::information,
         cat(grouped(taken->samples), " samples were found in ", folder->path()));
  }
}

void Spiller::look_at_unread() {
  Segments::TakenOver taken;
  const auto now_ns = clock_.monotonic_ns();
  const bool any = segments_.try_unread(now_ns, now_ns + options_.timing.retry_ns, taken);
  queue_.add_damage(taken.damaged_regions);
  for (auto& text : taken.told) tell(Notice::Severity::information, std::move(text));
  if (!has_failed_) {
    for (const auto& segment : segments_.move_to_current()) {
      drop_segment(DropReason::damage, segment);
    }
    say_nothing_waits_in_left();
  }
  if (any) queue_.recount();
}

/// What was in an earlier folder is in the current one. A start that finds the earlier one alone, as
/// when a disk is mounted late again, misses nothing that was there.
void Spiller::say_nothing_waits_in_left() {
  if (left_.empty()) return;
  auto offsets = queue_.offsets();
  const auto segments = segments_.all();
  std::uint64_t end = 0;
  for (const auto& [name, offset] : offsets) end = std::max(end, offset.end());
  for (const auto& segment : segments) end = std::max(end, segment.summary.last_sequence + 1);
  for (auto& [name, offset] : offsets) offset = Offset(end);
  std::erase_if(left_, [&](const std::shared_ptr<Folder>& folder) {
    const bool is_in_use =
        std::any_of(segments.begin(), segments.end(),
                    [&](const Segments::Segment& segment) { return segment.folder == folder; });
    // Where it cannot be said, a start may count as lost what is elsewhere: no sample is.
    if (!is_in_use) static_cast<void>(save_offsets(*folder, offsets));
    return !is_in_use;
  });
}

/// Takes what has waited long from memory to segments. False where the disk failed.
bool Spiller::spill(bool everything) {
  const auto now_ns = clock_.monotonic_ns();
  // A round comes every few seconds at most: what is due soon goes with what is due now.
  const auto until_ns =
      everything || queue_.is_under_pressure()
          ? now_ns
          : (queue_.spill_due_ns() <= now_ns ? now_ns - options_.timing.spill_after_ns
                                             : now_ns - kNeverNs);
  for (;;) {
    const auto due = queue_.waiting_until(until_ns, kSpillAtOnce);
    if (!make_room() || due.empty()) return true;
    const auto stored = store(due);
    queue_.forget_stored();
    if (!stored) {
      on_failure(stored.error());
      return false;
    }
    on_works();
  }
}

/// Requests of one stream that follow one another become one entry.
std::vector<Entry> Spiller::joined(const std::vector<Entry>& entries) {
  std::vector<Entry> result;
  for (std::size_t i = 0; i < entries.size();) {
    std::vector<RequestPtr> requests;
    std::uint64_t content_bytes = 0;
    auto end = i;
    for (; end < entries.size() && entries[end].request != nullptr; ++end) {
      const bool follows =
          end == i || (entries[end].stream_name() == entries[i].stream_name() &&
                       entries[end].first_sequence == entries[end - 1].last_sequence + 1);
      content_bytes += content_size_of(entries[end].request->message).value_or(kJoinedBytesMax);
      if (!follows || (end > i && content_bytes > kJoinedBytesMax)) break;
      requests.push_back(entries[end].request);
    }
    auto one = requests.size() > 1 ? join_recompressed(requests)
                                   : Result<Request>(failed("nothing to join"));
    if (one) {
      Entry entry{entries[i].first_sequence, entries[end - 1].last_sequence, nullptr,
                  std::make_shared<const Request>(std::move(*one))};
      if (queue_.join(std::span(entries).subspan(i, end - i), entry)) {
        result.push_back(std::move(entry));
        i = end;
        continue;
      }
    }
    result.push_back(entries[i++]);
  }
  return result;
}

/// What fits is kept.
Result<void> Spiller::store(const std::vector<Entry>& due) {
  Result<void> appended;
  bool any = false;
  for (const auto& entry : joined(due)) {
    if (segments_.is_stored(entry.first_sequence)) continue;
    appended = segments_.append(entry, clock_.boottime_ns());
    if (!appended && is_too_large(entry)) {
      // It is delivered from memory where it can be; it would hold up those behind it for ever.
      appended = {};
      tell_drops(DropReason::too_large, queue_.drop(entry, DropReason::too_large));
      continue;
    }
    if (!appended) break;
    any = true;
  }
  if (!any) return appended;
  if (auto synced = segments_.sync(); !synced) return synced;
  return appended;
}

/// Whether segments may be written: what they must leave free of their file system is free, if need
/// be by giving up the oldest of them.
bool Spiller::make_room() {
  for (;;) {
    const auto folder = segments_.folder();
    const auto space = folder ? folder->space() : Result<Folder::Space>(failed("no folder"));
    if (!space) return true;  // the write will say what is wrong
    const auto keep_free = std::min(options_.limits.free_bytes_min, space->total_bytes / 20);
    const bool has_room = space->free_bytes >= keep_free;
    const auto oldest = segments_.oldest_read();
    if (has_room || !oldest) {
      if (std::exchange(lacks_space_, !has_room) == has_room) {
        queue_.set_free_space_guard(lacks_space_);
        has_room
            ? tell(Notice::Severity::information, cat("enough space again on ", options_.folder))
            : tell(Notice::Severity::warning,
                   cat("less than ", keep_free >> 20, " MiB free on ", options_.folder,
                       ": samples are kept in memory, up to ", Queue::kMemoryBytesMax >> 20,
                       " MiB; make room there"));
      }
      return has_room;
    }
    drop_segment(DropReason::free_space, *oldest);
  }
}

void Spiller::apply_limits() {
  const auto& limits = options_.limits;
  for (auto oldest = segments_.oldest_read(); oldest && segments_.totals().bytes > limits.bytes_max;
       oldest = segments_.oldest_read()) {
    drop_segment(DropReason::max_size, *oldest);
  }
  const bool is_trusted = clock_is_trusted();
  const auto age_max_ns = std::chrono::nanoseconds(limits.age_max).count();
  const auto now_ns = clock_.wall_ns();
  const auto boot_ns = clock_.boottime_ns();
  for (const auto& segment : segments_.all()) {
    if (!segment.is_read || !is_trusted) continue;
    const auto last_ms = segment.summary.last_timestamp_ms;
    const bool is_old = last_ms < (now_ns - age_max_ns) / kNsPerMs;
    // Of what this process wrote the age is known without the wall clock.
    const bool is_old_enough =
        segment.begun_boot_ns == 0 || boot_ns - segment.begun_boot_ns > age_max_ns;
    if (is_old && is_old_enough) drop_segment(DropReason::max_age, segment);
  }
}

/// A clock that is wrong for a while (a bad battery, until the time service sets it) is no age.
bool Spiller::clock_is_trusted() {
  const auto boot_ns = clock_.boottime_ns();
  const auto ahead_ns = clock_.wall_ns() - boot_ns;
  if (std::abs(ahead_ns - wall_ahead_ns_) > kStepNs) trusted_from_ns_ = boot_ns;
  wall_ahead_ns_ = ahead_ns;
  return boot_ns - trusted_from_ns_ >= kTrustedAfterNs;
}

void Spiller::drop_segment(DropReason reason, const Segments::Segment& segment) {
  const auto samples = queue_.drop_segment(segment, reason);
  segments_.remove(segment);
  tell_drops(reason, samples);
}

void Spiller::tell_drops(DropReason reason, std::uint64_t samples) {
  const auto now_ns = clock_.monotonic_ns();
  if (samples == 0 || (drop_told_ns_ != 0 && now_ns - drop_told_ns_ < kTellDropsEveryNs)) return;
  drop_told_ns_ = now_ns;
  tell(Notice::Severity::warning,
       cat(grouped(samples), " samples dropped, reason ", drop_reason_name(reason), ": ",
           what_to_do(reason), "; msp_agent_samples_dropped_total counts on"));
}

/// It is also what a disk that failed is tried with when there is nothing else to write.
void Spiller::save_offsets_now(bool disk_works) {
  if (has_failed_ && !disk_works) return;
  auto offsets = queue_.offsets();
  if (offsets == saved_ && !has_failed_) return;
  const auto folder = segments_.folder();
  if (folder == nullptr) return;
  if (auto saved = save_offsets(*folder, offsets); !saved) return on_failure(saved.error());
  on_works();
  saved_ = std::move(offsets);
}

void Spiller::on_failure(const Error& error) {
  queue_.set_memory_only(true);
  if (std::exchange(has_failed_, true)) return;
  tell(Notice::Severity::warning,
       cat(error.text, "; samples are kept in memory, up to ", Queue::kMemoryBytesMax >> 20,
           " MiB, until the disk works again"));
}

void Spiller::on_works() {
  if (!std::exchange(has_failed_, false)) return;
  queue_.set_memory_only(false);
  tell(Notice::Severity::information, "writes to disk again");
}

void Spiller::tell(Notice::Severity severity, std::string text) const {
  options_.notify({severity, cat("buffer: ", text)});
}

}  // namespace msp::queue
