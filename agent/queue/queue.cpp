#include "agent/queue/queue.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/base/text.h"

namespace msp::queue {
namespace {

// As many entries of a few hundred samples each do not fit into a segment.
constexpr std::uint64_t kLostGapMax = 10'000;
// In the log: not a consumer, but the segments have these.
const std::string kStored;
const std::string kNothing = "\n";  // these were given to nothing, as far as the process knew

Notice warning(std::string text) {
  return {Notice::Severity::warning, std::move(text)};
}

}  // namespace

Queue::Queue(Options options)
    : options_(std::move(options)),
      clock_(*options_.clock),
      segments_(std::min<std::uint64_t>(Segments::kSegmentBytes, options_.limits.bytes_max / 8)),
      wal_(*options_.files, options_.wal_folder, clock_, options_.timing.retry_ns) {}

Queue::~Queue() = default;

Queue::OpenedFolder Queue::open_folder() const {
  auto folder = options_.files->open_folder(options_.folder);
  if (!folder) return {folder.error()};
  const auto locked = (*folder)->lock();
  if (!locked) return {locked.error()};
  if (!*locked) {
    std::string holder;
    if (const auto file = (*folder)->open("lock", Folder::Mode::read)) {
      holder = (*file)->read(0, 32).value_or("");
    }
    return {failed(cat("buffer.path ", options_.folder, " is in use by process ", trim(holder),
                       ": stop that agent, or give this one a buffer.path of its own")),
            true};
  }
  if (const auto file = (*folder)->open("lock", Folder::Mode::write)) {
    static_cast<void>((*file)->truncate(0));
    static_cast<void>((*file)->write(0, cat(::getpid(), "\n")));
  }
  return {std::move(folder)};
}

Result<std::unique_ptr<Queue>> Queue::open(Options options) {
  std::unique_ptr<Queue> queue(new Queue(std::move(options)));
  auto opened = queue->open_folder();
  if (opened.is_in_use) return opened.folder.error();
  std::uint64_t end = 1;
  if (opened.folder) end = queue->take_over(*opened.folder);
  queue->recover(end);
  std::unique_lock wal_lock(queue->wal_mutex_);
  queue->notify_of_wal(wal_lock);
  return queue;
}

/// Returns one past the numbers that are in use in the folder.
std::uint64_t Queue::take_over(const std::shared_ptr<Folder>& folder) {
  const auto retry_ns = clock_.monotonic_ns() + options_.timing.retry_ns;
  auto taken = segments_.take_over(
      folder, [](auto, auto) { return true; }, retry_ns);
  if (!taken) return 1;  // the spiller tries again, and tells
  state_.damaged_records += taken->damaged_regions;
  for (auto& text : taken->told) options_.notify(warning(cat("buffer: ", text)));
  auto offsets = load_offsets(*folder);
  if (offsets) {
    saved_ = std::move(*offsets);
    knows_consumers_ = true;
  } else if (offsets.error().kind != Error::Kind::no_data) {
    options_.notify(
        warning(cat("buffer: ", offsets.error().text, "; what is kept is sent again to everyone")));
  }
  return taken->end;
}

/// `end` is one past the numbers that were found in use on disk.
void Queue::recover(std::uint64_t end) {
  auto content = wal_.recover().value_or(Wal::Content());
  state_.damaged_records += content.damaged_regions;
  const auto stored = content.done[kStored];
  content.done.erase(kStored);
  nothing_ = content.done[kNothing];
  content.done.erase(kNothing);
  for (const auto& [name, done] : content.done) saved_[name].add_from(done, 0);
  logged_ = std::move(content.done);
  for (const auto& [name, offset] : saved_) end = std::max(end, offset.end());
  // What an earlier process left is no live sample, but for the newest of each stream.
  const auto appended_ns = clock_.monotonic_ns() - 2 * options_.timing.send_every_ns;
  std::uint64_t after = 0;
  for (auto& entry : content.entries) {
    end = std::max(end, entry.last_sequence + 1);
    const bool is_stored = stored.next(entry.first_sequence) > entry.last_sequence ||
                           segments_.is_stored(entry.first_sequence);
    if (entry.first_sequence <= after) continue;
    after = entry.last_sequence;
    if (is_stored) continue;
    memory_.append(std::move(entry), appended_ns);
  }
  // Behind all numbers that are known. Where no segment is, or the folder cannot be read, a disk that
  // is mounted later may have some, also newer ones than the log: that may have been covered by it. The
  // time of a start is nearly always above those.
  first_issued_ = end;
  if (!segments_.is_open() || !wal_.is_recovered() || segments_.empty()) {
    const auto wall_ms = clock_.wall_ns() / kNsPerMs;
    first_issued_ = std::max(end, wall_ms > 0 ? static_cast<std::uint64_t>(wall_ms) : 1);
  }
  next_sequence_ = first_issued_;
  if (end < first_issued_) {
    nothing_.add(end, first_issued_ - 1);
    if (const auto& ranges = nothing_.ranges(); ranges.size() > Offset::kRangesMax) {
      nothing_.skip_to(ranges.front().last + 1);
    }
    wal_.append_done(kNothing, end, first_issued_ - 1);
  }
  spill_soon_ = !memory_.empty();
  known_from_ = oldest_known();
}

std::size_t Queue::add_consumer(const std::string& name, std::function<void()> on_append) {
  std::vector<Notice> notices;
  std::size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto find = [&](std::string_view wanted) {
      return std::find_if(consumers_.begin(), consumers_.end(),
                          [&](const Consumer& consumer) { return consumer.name == wanted; });
    };
    auto found = find(name);
    if (found == consumers_.end()) {
      found = find("");
      if (found == consumers_.end()) found = consumers_.emplace(consumers_.end());
      auto& consumer = *found;
      consumer.name = name;
      consumer.state = {};
      consumer.is_new = false;
      consumer.leased.clear();
      consumer.newest_done.clear();
      consumer.read.clear();
      if (const auto saved = saved_.find(name); saved != saved_.end()) {
        consumer.done = saved->second;
        saved_.erase(saved);
        if (consumer.done.next() == 0) consumer.done.skip_to(oldest_known());  // of the log alone
        skip_nothing(consumer);
        if (const auto lost = count_lost_at_start(consumer); lost > 0) {
          notices.push_back(warning(cat("buffer: about ", grouped(lost), " samples for ", name,
                                        " are lost: what was written is damaged or gone")));
        }
      } else if (knows_consumers_ || next_sequence_ > first_issued_) {
        consumer.done = Offset(next_sequence_);
        consumer.is_new = true;
      } else {
        consumer.done = Offset(oldest_known());
        skip_nothing(consumer);
      }
      consumer.state.samples = segments_.count_samples(consumer.done);
      for (const auto& waiting : memory_.waiting()) {
        if (!consumer.is_done(waiting.entry)) consumer.state.samples += waiting.entry.samples();
      }
    }
    found->ended = false;
    found->on_append = std::move(on_append);
    number = static_cast<std::size_t>(found - consumers_.begin());
  }
  notify_all(notices);
  return number;
}

/// The consumer misses no number that was given to nothing, unless it turns out that something has
/// it. With the lock.
void Queue::skip_nothing(Consumer& consumer) const {
  auto nothing = nothing_;
  for (const auto& segment : segments_.all()) {
    nothing.reopen(segment.summary.first_sequence, segment.summary.last_sequence);
  }
  for (const auto& waiting : memory_.waiting()) {
    nothing.reopen(waiting.entry.first_sequence, waiting.entry.last_sequence);
  }
  consumer.done.add_from(nothing, 0);
}

/// With the lock.
std::uint64_t Queue::oldest_known() const {
  auto oldest = memory_.empty() ? next_sequence_ : memory_.waiting().front().entry.first_sequence;
  for (const auto& segment : segments_.all()) {
    oldest = std::min(oldest, segment.summary.first_sequence);
  }
  return oldest;
}

/// Numbers that were given out, that the consumer is not done with, and that are nowhere: their
/// samples by the average. A wide gap is none of a lost segment, but of a start with the time as
/// its first number of which the note is lost as well. With the lock.
std::uint64_t Queue::count_lost_at_start(Consumer& consumer) {
  std::uint64_t samples = 0;
  std::uint64_t sequences = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> present;
  for (const auto& segment : segments_.all()) {
    present.emplace_back(segment.summary.first_sequence, segment.summary.last_sequence);
    if (!segment.is_read) continue;
    samples += segment.summary.samples;
    sequences += segment.summary.last_sequence - segment.summary.first_sequence + 1;
  }
  for (const auto& waiting : memory_.waiting()) {
    present.emplace_back(waiting.entry.first_sequence, waiting.entry.last_sequence);
    samples += waiting.entry.samples();
    sequences += waiting.entry.last_sequence - waiting.entry.first_sequence + 1;
  }
  std::sort(present.begin(), present.end());
  const auto per_sequence = sequences > 0 ? std::max<std::uint64_t>(samples / sequences, 1) : 0;
  std::uint64_t lost = 0;
  auto next = consumer.done.next();
  for (const auto& [first, last] : present) {
    if (first > next) {
      const auto gap = first - next - consumer.done.count(next, first - 1);
      const auto missing = gap <= kLostGapMax ? gap : 0;
      lost += missing * per_sequence;
      consumer.drop(next, first - 1, missing * per_sequence, DropReason::damage);
    }
    next = std::max(next, last + 1);
  }
  return lost;
}

void Queue::end_consumer(std::size_t number) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    consumers_[number].ended = true;
    wake = consumers_[number].on_append;
  }
  if (wake) wake();
}

void Queue::remove_consumer(std::size_t number) {
  {
    const std::lock_guard lock(mutex_);
    auto& consumer = consumers_[number];
    consumer.name.clear();
    consumer.on_append = {};
    consumer.ended = true;
    consumer.leased.clear();
    consumer.read.clear();
    consumer.done = Offset(next_sequence_);
    consumer.state.samples = 0;
    trim_memory();
  }
  wake_spiller_();
}

void Queue::append(metrics::Scrape scrape) {
  Entry entry;
  entry.scrape = std::make_shared<const metrics::Scrape>(std::move(scrape));
  const auto samples = entry.samples();
  append(std::move(entry), samples);
}

bool Queue::append(Request request) {
  Entry entry;
  entry.request = std::make_shared<const Request>(std::move(request));
  const auto samples = entry.samples();
  return append(std::move(entry), samples);
}

/// Whether the log has it.
bool Queue::append(Entry entry, std::uint64_t samples) {
  std::vector<std::function<void()>> wake;
  bool wake_spiller = false;
  bool is_logged = false;
  {
    std::unique_lock wal_lock(wal_mutex_);
    if (!wal_.is_recovered()) {
      if (auto content = wal_.recover()) adopt(std::move(*content));
    }
    {
      const std::lock_guard lock(mutex_);
      entry.first_sequence = entry.last_sequence = next_sequence_++;
      for (auto& consumer : consumers_) {
        if (consumer.ended) {
          consumer.done.add(entry.first_sequence, entry.last_sequence);
        } else {
          consumer.state.samples += samples;
        }
        if (consumer.on_append) wake.push_back(consumer.on_append);
      }
      memory_.append(entry, clock_.monotonic_ns());
      while (memory_.bytes() > kMemoryBytesMax && memory_.waiting().size() > 1) {
        const auto& front = memory_.waiting().front().entry;
        for (auto& consumer : consumers_) {
          if (consumer.is_done(front)) continue;
          consumer.drop(front.first_sequence, front.last_sequence, front.samples(),
                        DropReason::memory);
        }
        memory_.drop_front();
      }
      // One that is delivered soon needs no spiller: it is woken when something has waited long.
      const auto& timing = options_.timing;
      const auto waited_ns =
          memory_.waiting().back().appended_ns - memory_.waiting().front().appended_ns;
      wake_spiller = waited_ns > timing.spill_after_ns + timing.send_every_ns || spill_soon_ ||
                     !segments_.empty() || is_under_pressure_locked();
    }
    is_logged = copy_to_wal(entry);
    notify_of_wal(wal_lock);
  }
  for (const auto& call : wake) call();
  if (wake_spiller) wake_spiller_();
  return is_logged;
}

Queue::Room Queue::room() {
  const std::lock_guard wal_lock(wal_mutex_);
  if (wal_.has_failed()) return Room::none;
  const std::lock_guard lock(mutex_);
  const auto bytes = memory_.bytes();
  if (bytes > kMemoryBytesMax / 4 * 3) {
    return state_.memory_only || state_.free_space_guard ? Room::none : Room::full;
  }
  // What makes room is the oldest segment. Where one endpoint has had it, it is only the others that
  // lose something, as they do where nothing is relayed.
  const auto oldest = segments_.oldest_read();
  if (oldest && segments_.totals().bytes >= options_.limits.bytes_max / 10 * 9) {
    const auto last = oldest->summary.last_sequence;
    const bool all_need_it = std::ranges::all_of(consumers_, [&](const Consumer& consumer) {
      return consumer.name.empty() || consumer.done.next() <= last;
    });
    if (all_need_it) return Room::full;
  }
  return bytes > kMemoryBytesMax / 2 ? Room::tight : Room::enough;
}

bool Queue::is_under_pressure() const {
  const std::lock_guard lock(mutex_);
  return is_under_pressure_locked();
}

/// With the lock.
bool Queue::is_under_pressure_locked() const {
  return memory_.bytes() > kMemoryBytesMax / 4 && memory_.has_requests();
}

/// With wal_mutex_. False: the log does not have the entry.
bool Queue::copy_to_wal(const Entry& entry) {
  bool is_logged = wal_.append(entry);
  std::vector<Entry> entries;
  Offsets done;
  {
    const std::lock_guard lock(mutex_);
    if (!wal_.wants_rewrite(memory_.bytes())) return is_logged;
    for (const auto& waiting : memory_.waiting()) entries.push_back(waiting.entry);
    // Of what this process knew from the start on, and what the log says already: what is older may
    // turn up on a disk that is mounted late.
    for (const auto& consumer : consumers_) {
      if (consumer.name.empty()) continue;
      if (const auto logged = logged_.find(consumer.name); logged != logged_.end()) {
        done[consumer.name] = logged->second;
      }
      done[consumer.name].add_from(consumer.done, known_from_);
    }
    done[kNothing] = nothing_;
  }
  wal_.rewrite(entries, done);
  return is_logged || wal_.is_complete();
}

/// What was in a log that could not be read before. It is appended anew: its sequences may be in use.
/// With wal_mutex_.
void Queue::adopt(Wal::Content content) {
  const std::lock_guard lock(mutex_);
  state_.damaged_records += content.damaged_regions;
  const auto stored = content.done[kStored];
  std::uint64_t after = 0;
  for (auto& entry : content.entries) {
    const auto first = entry.first_sequence;
    const auto last = entry.last_sequence;
    if (first <= after) continue;
    after = last;
    if (stored.next(first) > last || segments_.is_stored(first)) continue;
    entry.first_sequence = next_sequence_;
    entry.last_sequence = next_sequence_ + (last - first);
    next_sequence_ = entry.last_sequence + 1;
    for (auto& consumer : consumers_) {
      const auto logged = content.done.find(consumer.name);
      const bool had_it = logged != content.done.end() && logged->second.next(first) > last;
      if (consumer.ended || consumer.is_new || had_it) {
        consumer.done.add(entry.first_sequence, entry.last_sequence);
      } else {
        consumer.state.samples += entry.samples();
      }
    }
    memory_.append(std::move(entry), clock_.monotonic_ns() - 2 * options_.timing.send_every_ns);
  }
  spill_soon_ = !memory_.empty();
}

bool Queue::has_waiting(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  const auto& consumer = consumers_[number];
  return consumer.done.next() < next_sequence_ || !consumer.leased.empty();
}

void Queue::expect_backlog(std::size_t number) {
  {
    const std::lock_guard lock(mutex_);
    if (consumers_[number].done.next() >= next_sequence_) return;
    spill_soon_ = true;
  }
  wake_spiller_();
}

bool Queue::read(std::size_t number, const Wanted& wanted, Batch& batch) {
  batch.clear();
  std::vector<Notice> notices;
  {
    std::unique_lock lock(mutex_);
    auto& consumer = consumers_[number];
    wanted.lane == Wanted::Lane::live ? read_live(consumer, wanted, batch)
                                      : read_in_order(consumer, wanted, batch, lock, notices);
    for (const auto& entry : batch.entries()) {
      consumer.leased.push_back(
          {entry.first_sequence, entry.last_sequence, entry.samples(), entry.first_timestamp_ms()});
    }
  }
  notify_all(notices);
  return !batch.empty();
}

/// With the lock.
bool Queue::is_live(const Consumer& consumer, const MemoryQueue::Waiting& waiting,
                    const Wanted& wanted) const {
  if (waiting.entry.is_backlog() || consumer.has_had_newer(waiting.entry)) return false;
  if (waiting.appended_ns >= wanted.live_since_ns) return true;
  const auto& newest = memory_.newest();
  return std::any_of(newest.begin(), newest.end(), [&](const MemoryQueue::Waiting& other) {
    return other.entry.last_sequence == waiting.entry.last_sequence;
  });
}

bool Queue::read_live(Consumer& consumer, const Wanted& wanted, Batch& batch) const {
  const auto take = [&](const Entry& entry) {
    if (consumer.is_done(entry) || consumer.is_leased(entry)) return true;
    if (consumer.has_had_newer(entry)) return true;
    if (!batch.empty() && batch.samples() + entry.samples() > wanted.samples_max) {
      batch.set_full();
      return false;
    }
    std::int64_t last_ms = 0;
    if (entry.scrape != nullptr && batch.last_timestamp_of(entry.stream_name(), last_ms) &&
        entry.scrape->timestamp_ms <= last_ms) {
      return false;
    }
    batch.add(entry);
    return true;
  };
  // The newest of a stream that is on disk already, then what waits in memory: by sequence.
  const auto& waiting = memory_.waiting();
  for (const auto& newest : memory_.newest()) {
    const bool waits =
        !waiting.empty() && newest.entry.first_sequence >= waiting.front().entry.first_sequence;
    if (!waits && !take(newest.entry)) return true;
  }
  for (const auto& candidate : waiting) {
    if (is_live(consumer, candidate, wanted) && !take(candidate.entry)) break;
  }
  return !batch.empty();
}

bool Queue::read_in_order(Consumer& consumer, const Wanted& wanted, Batch& batch,
                          std::unique_lock<std::mutex>& lock, std::vector<Notice>& notices) {
  const bool without_live = wanted.lane == Wanted::Lane::backlog;
  std::erase_if(consumer.read, [&](const Entry& entry) { return consumer.is_done(entry); });
  for (auto next = consumer.done.next(); next < next_sequence_; next = consumer.done.next(next)) {
    const auto* const waiting = memory_.find(next);
    std::optional<Entry> entry;
    if (waiting != nullptr && waiting->entry.first_sequence <= next) {
      if (without_live && is_live(consumer, *waiting, wanted)) {
        next = waiting->entry.last_sequence + 1;
        continue;
      }
      entry = waiting->entry;
    } else {
      const auto segment = segments_.find(next);
      const auto in_memory = waiting != nullptr ? waiting->entry.first_sequence : next_sequence_;
      if (!segment || segment->summary.first_sequence > next) {
        // Nothing has these numbers.
        const auto end = segment ? std::min(segment->summary.first_sequence, in_memory) : in_memory;
        consumer.forget(next, end - 1, 0);
        continue;
      }
      if (segment->retry_ns != 0) {  // not lost: it is tried again later
        next = std::min(segment->summary.last_sequence + 1, in_memory);
        continue;
      }
      entry = read_segment(consumer, *segment, next, lock, notices);
      if (!entry) continue;
      const auto& newest = memory_.newest();
      const bool is_newest = std::any_of(newest.begin(), newest.end(), [&](const auto& other) {
        return other.entry.last_sequence == entry->last_sequence;
      });
      if (without_live && is_newest && !consumer.has_had_newer(*entry)) {
        next = entry->last_sequence + 1;
        continue;
      }
    }
    if (consumer.is_leased(*entry)) {
      next = entry->last_sequence + 1;
      continue;
    }
    std::int64_t last_ms = 0;
    if (!batch.empty() &&
        (batch.samples() + entry->samples() > wanted.samples_max ||
         (entry->scrape != nullptr && batch.last_timestamp_of(entry->stream_name(), last_ms) &&
          entry->scrape->timestamp_ms <= last_ms))) {
      break;
    }
    next = entry->last_sequence + 1;
    batch.add(std::move(*entry));
  }
  return !batch.empty();
}

/// The entry of the segment that begins at `sequence`; nothing where it turns out not to be there.
/// Then `sequence` is where to go on. Gives up the lock while it reads the disk.
std::optional<Entry> Queue::read_segment(Consumer& consumer, const Segments::Segment& segment,
                                         std::uint64_t& sequence,
                                         std::unique_lock<std::mutex>& lock,
                                         std::vector<Notice>& notices) {
  const auto cached = [&]() -> std::optional<Entry> {
    const auto found = std::ranges::lower_bound(consumer.read, sequence, {}, &Entry::last_sequence);
    if (found == consumer.read.end() || found->first_sequence > sequence) return std::nullopt;
    return *found;
  };
  if (auto entry = cached()) return entry;
  lock.unlock();
  auto read = consumer.reader.next(segment, sequence);
  lock.lock();
  const auto still = segments_.find(sequence);
  const bool is_gone = !still || still->name != segment.name;
  if (!read) {
    if (!is_gone) {
      segments_.set_retry(segment.name, clock_.monotonic_ns() + options_.timing.retry_ns);
      notices.push_back(warning(cat("buffer: ", read.error().text, "; it is tried again")));
    }
    return std::nullopt;
  }
  std::uint64_t lost_samples = 0;
  for (const auto& lost : consumer.reader.take_lost()) {
    if (is_gone) continue;  // a limit has just taken it, and counted it
    // What did not get to disk is in memory still.
    const auto* const waiting = memory_.find(lost.first);
    const auto last = waiting != nullptr && waiting->entry.first_sequence <= lost.last
                          ? waiting->entry.first_sequence - 1
                          : lost.last;
    if (last < lost.first || last + 1 == 0) continue;
    const auto sequences = lost.last - lost.first + 1;
    const auto left = last - lost.first + 1 - consumer.done.count(lost.first, last);
    const auto samples = lost.samples * left / sequences;
    consumer.drop(lost.first, last, samples, DropReason::damage);
    lost_samples += samples;
    ++state_.damaged_records;
  }
  if (lost_samples > 0) {
    notices.push_back(warning(cat("buffer: ", grouped(lost_samples), " samples for ", consumer.name,
                                  " are lost, reason damage: ", segment.folder->path(), "/",
                                  segment.name, " is not what was written; look at the disk")));
  }
  if (is_gone) return std::nullopt;
  const auto& entry = *read;
  // Numbers of the segment that it does not have were done with before it was written.
  const auto found = entry ? entry->first_sequence : segment.summary.last_sequence + 1;
  const auto* const waiting = memory_.find(sequence);
  const auto end = waiting != nullptr ? std::min(found, waiting->entry.first_sequence) : found;
  if (end > sequence) consumer.forget(sequence, end - 1, 0);
  if (!entry) return std::nullopt;
  const auto after = std::lower_bound(
      consumer.read.begin(), consumer.read.end(), entry->first_sequence,
      [](const Entry& other, std::uint64_t s) { return other.first_sequence < s; });
  if (after == consumer.read.end() || after->first_sequence != entry->first_sequence) {
    consumer.read.insert(after, *entry);
  }
  return entry->first_sequence <= sequence && !consumer.is_done(*entry) ? entry : std::nullopt;
}

void Queue::release(std::size_t number, Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (const auto& entry : batch.entries()) consumers_[number].end_lease(entry, false);
  batch.clear();
}

void Queue::ack(std::size_t number, Batch& batch) {
  bool wake_spiller = false;
  {
    std::unique_lock wal_lock(wal_mutex_);
    std::string name;
    {
      const std::lock_guard lock(mutex_);
      auto& consumer = consumers_[number];
      name = consumer.name;
      for (const auto& entry : batch.entries()) {
        const auto stream = entry.stream_name();
        auto newest = consumer.newest_done.find(stream);
        if (newest == consumer.newest_done.end()) {
          newest = consumer.newest_done.emplace(std::string(stream), 0).first;
        }
        newest->second = std::max(newest->second, entry.last_sequence);
        consumer.end_lease(entry, true);
        if (consumer.is_done(entry) || !consumer.done.has_room(entry.first_sequence)) continue;
        consumer.forget(entry.first_sequence, entry.last_sequence, entry.samples());
      }
      if (consumer.done.next() >= next_sequence_) {
        consumer.state.samples = consumer.dropped_and_leased();
      }
      trim_memory();
      if (memory_.empty()) spill_soon_ = false;
      wake_spiller = !segments_.empty();
    }
    wal_.append_done(name, batch.entries());
    notify_of_wal(wal_lock);
  }
  batch.clear();
  if (wake_spiller) wake_spiller_();
}

/// Returns what went because it is stored. With the lock.
std::vector<Entry> Queue::trim_memory() {
  std::vector<Entry> stored;
  memory_.trim(
      [&](const Entry& entry) {
        if (!segments_.is_stored(entry.first_sequence)) return false;
        stored.push_back(entry);
        return true;
      },
      [&](const Entry& entry) {
        return is_done_locked(entry.first_sequence, entry.last_sequence);
      });
  return stored;
}

bool Queue::is_done_locked(std::uint64_t first, std::uint64_t last) const {
  // Before there are consumers it is not known who waits.
  return !consumers_.empty() &&
         std::all_of(consumers_.begin(), consumers_.end(),
                     [&](const Consumer& consumer) { return consumer.done.next(first) > last; });
}

ConsumerState Queue::state(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  const auto& consumer = consumers_[number];
  auto state = consumer.state;
  state.oldest_timestamp_ms = oldest_timestamp_ms(consumer);
  return state;
}

/// With the lock.
std::int64_t Queue::oldest_timestamp_ms(const Consumer& consumer) const {
  if (consumer.state.samples == 0) return 0;
  for (const auto& lease : consumer.leased) {
    if (lease.dropped) return lease.first_timestamp_ms;  // older than all that is kept
  }
  const auto next = consumer.done.next();
  if (next >= next_sequence_) return 0;
  const auto* const waiting = memory_.find(next);
  if (waiting != nullptr && waiting->entry.first_sequence <= next) {
    return waiting->entry.first_timestamp_ms();
  }
  if (const auto segment = segments_.find(next); segment && segment->is_read) {
    const auto read = std::find_if(consumer.read.begin(), consumer.read.end(),
                                   [&](const Entry& entry) { return !consumer.is_done(entry); });
    const bool is_begun = segment->summary.first_sequence < next && read != consumer.read.end();
    return is_begun ? read->first_timestamp_ms() : segment->summary.first_timestamp_ms;
  }
  return waiting != nullptr ? waiting->entry.first_timestamp_ms() : 0;
}

Queue::State Queue::state() const {
  const auto totals = segments_.totals();
  const std::lock_guard lock(mutex_);
  auto state = state_;
  state.bytes = totals.bytes;
  state.segments = totals.segments;
  return state;
}

void Queue::set_wake_spiller(std::function<void()> wake) {
  wake_spiller_ = std::move(wake);
}

std::vector<Entry> Queue::waiting_until(std::int64_t appended_until_ns, std::size_t count) const {
  const std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& waiting : memory_.waiting()) {
    if (waiting.appended_ns > appended_until_ns || entries.size() == count) break;
    const auto& entry = waiting.entry;
    if (is_done_locked(entry.first_sequence, entry.last_sequence)) continue;
    entries.push_back(entry);
  }
  return entries;
}

std::int64_t Queue::spill_due_ns() const {
  const std::lock_guard lock(mutex_);
  if (memory_.empty()) return kNeverNs;
  if (is_under_pressure_locked()) return clock_.monotonic_ns();
  const auto& timing = options_.timing;
  const bool soon = spill_soon_ || !segments_.empty();
  return memory_.waiting().front().appended_ns + timing.spill_after_ns +
         (soon ? 0 : timing.send_every_ns);
}

bool Queue::join(std::span<const Entry> parts, const Entry& joined) {
  const std::lock_guard lock(mutex_);
  const auto is_divided = [&](const Offset& done) {
    const auto first = joined.first_sequence;
    const auto count = done.count(first, joined.last_sequence);
    return count != 0 && count != joined.last_sequence - first + 1;
  };
  for (const auto& consumer : consumers_) {
    if (is_divided(consumer.done) || consumer.is_leased(joined)) return false;
  }
  for (const auto& [name, done] : saved_) {
    if (is_divided(done)) return false;
  }
  return memory_.join(parts, joined);
}

void Queue::forget_stored() {
  std::unique_lock wal_lock(wal_mutex_);
  std::vector<Entry> stored;
  {
    const std::lock_guard lock(mutex_);
    stored = trim_memory();
  }
  wal_.append_done(kStored, stored);
  notify_of_wal(wal_lock);
}

bool Queue::claim(std::uint64_t first, std::uint64_t last) {
  const std::lock_guard lock(mutex_);
  if (last < first_issued_) return true;
  if (first < next_sequence_) return false;
  next_sequence_ = last + 1;
  return true;
}

bool Queue::is_done(std::uint64_t first, std::uint64_t last) const {
  const std::lock_guard lock(mutex_);
  return is_done_locked(first, last);
}

/// As they are now: more may come, none goes.
std::vector<Consumer*> Queue::consumers() {
  const std::lock_guard lock(mutex_);
  std::vector<Consumer*> all;
  for (auto& consumer : consumers_) all.push_back(&consumer);
  return all;
}

/// Takes the lock when `count`, which may read a disk, has returned `samples` for what the consumer
/// is done with now.
template <typename Count>
std::unique_lock<std::mutex> Queue::count_without_lock(Consumer& consumer, std::uint64_t& samples,
                                                       Count count) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto done = consumer.done;
    lock.unlock();
    samples = count(done);
    lock.lock();
    if (done == consumer.done) return lock;
  }
}

std::uint64_t Queue::drop_segment(const Segments::Segment& segment, DropReason reason) {
  std::uint64_t most = 0;
  const auto first = segment.summary.first_sequence;
  const auto last = segment.summary.last_sequence;
  for (auto* const consumer : consumers()) {
    std::uint64_t samples = 0;
    const auto lock = count_without_lock(*consumer, samples, [&](const Offset& done) {
      return segments_.count_in_segment(segment, done);
    });
    most = std::max(most, consumer->drop(first, last, samples, reason));
  }
  return most;
}

std::uint64_t Queue::drop(const Entry& entry, DropReason reason) {
  const std::lock_guard lock(mutex_);
  std::uint64_t most = 0;
  for (auto& consumer : consumers_) {
    if (consumer.is_done(entry)) continue;
    most = std::max(
        most, consumer.drop(entry.first_sequence, entry.last_sequence, entry.samples(), reason));
  }
  trim_memory();
  return most;
}

void Queue::take_in(const std::vector<Segments::Segment>& late, const Offsets& offsets) {
  {
    const std::lock_guard lock(mutex_);
    for (const auto& segment : late) {
      const auto first = segment.summary.first_sequence;
      const auto last = segment.summary.last_sequence;
      for (auto& consumer : consumers_) {
        if (consumer.name.empty()) continue;
        const auto saved = offsets.find(consumer.name);
        if (saved == offsets.end() && !offsets.empty()) {  // new since then
          consumer.done.add(first, last);
          continue;
        }
        consumer.done.reopen(first, last);
        if (saved == offsets.end()) continue;
        if (saved->second.next() > first) {
          consumer.done.add(first, std::min(last, saved->second.next() - 1));
        }
        for (const auto& range : saved->second.ranges()) {
          if (range.last < first || range.first > last) continue;
          consumer.done.add(std::max(first, range.first), std::min(last, range.last));
        }
      }
    }
  }
  recount();
}

void Queue::recount() {
  for (auto* const consumer : consumers()) {
    std::uint64_t samples = 0;
    std::function<void()> wake;
    {
      const auto lock = count_without_lock(
          *consumer, samples, [&](const Offset& done) { return segments_.count_samples(done); });
      for (const auto& waiting : memory_.waiting()) {
        const auto& entry = waiting.entry;
        if (consumer->is_done(entry) || segments_.is_stored(entry.first_sequence)) continue;
        samples += entry.samples();
      }
      consumer->state.samples = samples + consumer->dropped_and_leased();
      wake = consumer->on_append;
    }
    if (wake) wake();
  }
}

Offsets Queue::offsets() const {
  const std::lock_guard lock(mutex_);
  Offsets offsets;
  for (const auto& consumer : consumers_) {
    if (!consumer.name.empty()) offsets[consumer.name] = consumer.done;
  }
  return offsets;
}

void Queue::add_damage(std::uint64_t regions) {
  const std::lock_guard lock(mutex_);
  state_.damaged_records += regions;
}

void Queue::set_memory_only(bool memory_only) {
  const std::lock_guard lock(mutex_);
  state_.memory_only = memory_only;
}

void Queue::set_free_space_guard(bool on) {
  const std::lock_guard lock(mutex_);
  state_.free_space_guard = on;
}

/// Gives up the lock of the log, and tells what happened to it.
void Queue::notify_of_wal(std::unique_lock<std::mutex>& wal_lock) {
  const auto notices = wal_.take_notices();
  wal_lock.unlock();
  notify_all(notices);
}

void Queue::notify_all(const std::vector<Notice>& notices) const {
  for (const auto& notice : notices) options_.notify(notice);
}

}  // namespace msp::queue
