#include "agent/queue/queue.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

namespace msp {
std::string_view drop_reason_name(DropReason reason) {
  constexpr std::string_view kNames[kDropReasons] = {"max_size", "max_age", "free_space",
                                                     "memory",   "damage",  "too_large"};
  return kNames[static_cast<std::size_t>(reason)];
}

Buffer::Buffer(Options options)
    : options_(std::move(options)),
      store_(*options_.files, options_.folder,
             std::min<std::uint64_t>(Store::kSegmentBytes, options_.limits.bytes_max / 8)),
      head_(*options_.files, options_.head_folder, options_.timing.retry_ns) {
  for (const auto& name : options_.endpoints) endpoints_.emplace_back().name = name;
}

Buffer::~Buffer() = default;

Result<std::unique_ptr<Buffer>> Buffer::open(Options options) {
  std::unique_ptr<Buffer> buffer(new Buffer(std::move(options)));
  if (auto locked = buffer->lock_folder(); !locked) return locked.error();
  buffer->recover();
  return buffer;
}

/// A folder that cannot be written to needs no lock: nobody can use it.
Result<void> Buffer::lock_folder() {
  if (lock_file_) return {};
  auto& files = *options_.files;
  static_cast<void>(files.make_folder(options_.folder));
  const auto path = options_.folder + "/lock";
  auto file = files.open(path, FileSystem::Mode::write);
  if (!file) return {};
  const auto locked = (*file)->lock();
  if (locked && !*locked) {
    const auto holder = (*file)->read(0, 32).value_or("");
    return failed(cat("buffer.path ", options_.folder, " is in use by process ", trim(holder),
                      ": stop that agent, or give this one a buffer.path of its own"));
  }
  lock_file_ = std::move(*file);
  static_cast<void>(lock_file_->truncate(0));
  static_cast<void>(lock_file_->write(0, cat(::getpid(), "\n")));
  return {};
}

void Buffer::open_store() {
  if (auto locked = lock_folder(); !locked) return on_disk_failure(locked.error());
  if (auto opened = store_.open(); !opened) on_disk_failure(opened.error());
}

void Buffer::recover() {
  open_store();
  next_sequence_ = store_.last_sequence() + 1;
  head_.recover(next_sequence_);
  if (!head_.empty()) next_sequence_ = head_.newest().sequence + 1;

  // Whatever a disk that cannot be read now holds will turn out to be older than this.
  if (!store_.is_open()) {
    next_sequence_ = std::max<std::uint64_t>(next_sequence_, wall_ns() / kNsPerMs);
  }

  auto cursors = load_cursors(*options_.files, options_.folder);
  if (cursors) {
    saved_ = std::move(*cursors);
  } else if (cursors.error().kind != Error::Kind::no_data) {
    log_warning(cat("buffer: ", cursors.error().text, "; what is kept is sent again to everyone"));
  }
  count_holes();
  const auto in_store = store_.oldest();
  const auto end = next_sequence_;
  for (const auto& [name, saved] : saved_) next_sequence_ = std::max(next_sequence_, saved.end());
  const auto oldest = in_store        ? in_store->summary.first_sequence
                      : head_.empty() ? next_sequence_
                                      : head_.scrapes().front().sequence;
  place_cursors(in_store || !head_.empty(), oldest, end);
  spill_wanted_ = !head_.empty();
  progress_ = in_store.has_value();
  trim_head(0);
}

/// A new endpoint gets all that is kept: its name may be the mended one of an endpoint that did not
/// work. A cursor beyond all that is kept is not one of ours, which point at what is on disk:
/// better twice than not at all.
void Buffer::place_cursors(bool anything_kept, std::uint64_t oldest, std::uint64_t end) {
  for (auto& endpoint : endpoints_) {
    auto& acknowledged = endpoint.acknowledged;
    const auto saved = saved_.find(endpoint.name);
    const bool usable = saved != saved_.end() && (!anything_kept || saved->second.next() <= end);
    if (usable) acknowledged = saved->second;
    if (anything_kept) acknowledged.cut(end);
    acknowledged.skip_to(oldest);
    endpoint.state.samples = store_.count_samples(acknowledged) + samples_in_head(acknowledged, 0);
  }
}

/// What everyone had acknowledged before it came to disk is missing there for good reason.
void Buffer::count_holes() {
  for (const auto& hole : store_.holes()) {
    holes_ += saved_.empty() || std::any_of(saved_.begin(), saved_.end(), [&](const auto& saved) {
                return saved.second.next(hole.first) <= hole.last;
              });
  }
}

std::size_t Buffer::samples_in_head(const Acknowledged& acknowledged, std::uint64_t from) const {
  std::size_t samples = 0;
  for (const auto& waiting : head_.scrapes()) {
    if (waiting.sequence < from || acknowledged.contains(waiting.sequence)) continue;
    samples += waiting.scrape->values.size();
  }
  return samples;
}

void Buffer::append(Scrape scrape) {
  auto shared = std::make_shared<const Scrape>(std::move(scrape));
  bool wake_disk = false;
  {
    const std::lock_guard lock(mutex_);
    const auto sequence = next_sequence_++;
    for (auto& endpoint : endpoints_) {
      if (endpoint.ended) {
        endpoint.acknowledged.add(sequence, sequence);
      } else {
        endpoint.state.samples += shared->values.size();
      }
    }
    head_.append(sequence, std::move(shared));
    while (head_.bytes() > kHeadBytesMax && head_.scrapes().size() > 1) drop_front_of_head();
    const auto waited_ns = head_.scrapes().back().appended_ns - head_.scrapes().front().appended_ns;
    if (has_backlog() || waited_ns > options_.timing.spill_after_ns) {
      wake_disk = !std::exchange(spill_wanted_, true);
    }
  }
  changed_.notify_all();
  if (wake_disk) disk_wanted_.notify_one();
}

/// Whether somebody still waits for what is in the store.
bool Buffer::has_backlog() const {
  const auto oldest = store_.oldest();
  return oldest && slowest() <= store_.last_sequence();
}

std::uint64_t Buffer::slowest() const {
  std::uint64_t slowest = next_sequence_;
  for (const auto& endpoint : endpoints_) slowest = std::min(slowest, endpoint.acknowledged.next());
  return slowest;
}

/// Whether nobody waits for it.
bool Buffer::is_done(std::uint64_t sequence) const {
  return std::all_of(endpoints_.begin(), endpoints_.end(), [&](const Endpoint& endpoint) {
    return endpoint.acknowledged.contains(sequence);
  });
}

bool Buffer::peek(std::size_t number, std::size_t samples_max, Batch& batch, std::uint64_t from) {
  batch.clear();
  std::unique_lock lock(mutex_);
  auto& endpoint = endpoints_[number];
  const auto& acknowledged = endpoint.acknowledged;
  auto next = acknowledged.next(from);
  std::erase_if(endpoint.read, [&](const ScrapeDecoder::Decoded& stored) {
    return stored.first_sequence < next || acknowledged.contains(stored.first_sequence);
  });
  for (; next < next_sequence_; next = acknowledged.next(next)) {
    const auto scrape = find(endpoint, next, lock);
    if (!scrape) continue;
    if (!batch.empty() && (batch.samples() + scrape->values.size() > samples_max ||
                           scrape->timestamp_ms <= batch.last_timestamp_ms())) {
      break;
    }
    batch.add(next++, scrape);
  }
  return !batch.empty();
}

/// The scrape at `sequence`, which the endpoint has not acknowledged; null where it turns out not
/// to be there, and is forgotten, or has changed places meanwhile. Gives up the lock while it reads
/// a disk.
Buffer::ScrapePtr Buffer::find(Endpoint& endpoint, std::uint64_t sequence,
                               std::unique_lock<std::mutex>& lock) {
  const auto* waiting = head_.find(sequence);
  if (waiting != nullptr && waiting->sequence == sequence) return waiting->scrape;
  const auto stored_until = store_.last_sequence();
  if (sequence > stored_until) {
    const auto after = waiting != nullptr ? waiting->sequence : next_sequence_;
    forget(endpoint, {sequence, after - 1}, 0);
    return nullptr;
  }
  const auto at = [&] {
    const auto read =
        std::lower_bound(endpoint.read.begin(), endpoint.read.end(), sequence,
                         [](const auto& stored, auto s) { return stored.first_sequence < s; });
    return read != endpoint.read.end() && read->first_sequence == sequence ? read->scrape : nullptr;
  };
  if (auto scrape = at()) return scrape;
  read_from_store(endpoint, sequence, stored_until, lock);
  return endpoint.acknowledged.contains(sequence) ? nullptr : at();
}

/// Adds to endpoint.read the first scrape from `sequence` on that the store has. What is missing
/// before it is lost, but for what the store did not get to disk: that is in the head still.
void Buffer::read_from_store(Endpoint& endpoint, std::uint64_t sequence, std::uint64_t stored_until,
                             std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  auto stored = endpoint.reader.next(store_, sequence);
  lock.lock();
  const auto* waiting = head_.find(sequence);
  const auto missing = [&](std::uint64_t first, std::uint64_t last) {
    return Acknowledged::Range{first, waiting ? std::min(last, waiting->sequence - 1) : last};
  };
  for (const auto& lost : endpoint.reader.take_lost()) {
    const auto range = missing(lost.first, lost.last);
    if (range.last < range.first) continue;
    const auto scrapes =
        range.last - range.first + 1 - endpoint.acknowledged.count(range.first, range.last);
    drop(endpoint, range, scrapes * lost.samples_per_scrape, DropReason::damage);
  }
  endpoint.damaged_told = endpoint.reader.damaged();
  forget(endpoint, missing(sequence, stored ? stored->first_sequence - 1 : stored_until), 0);
  if (!stored) return;
  const auto after =
      std::lower_bound(endpoint.read.begin(), endpoint.read.end(), stored->first_sequence,
                       [](const auto& read, auto s) { return read.first_sequence < s; });
  if (after != endpoint.read.end() && after->first_sequence == stored->first_sequence) return;
  endpoint.read.insert(after, std::move(*stored));
}

bool Buffer::has_fresh(const Endpoint& endpoint) const {
  const auto& newest = head_.newest();
  return newest.scrape && newest.sequence > endpoint.acknowledged_last &&
         !endpoint.acknowledged.contains(newest.sequence);
}

bool Buffer::peek_newest(std::size_t number, Batch& batch) {
  batch.clear();
  const std::lock_guard lock(mutex_);
  if (has_fresh(endpoints_[number])) batch.add(head_.newest().sequence, head_.newest().scrape);
  return !batch.empty();
}

void Buffer::ack(std::size_t number, const Batch& batch) {
  bool wake_disk = false;
  {
    const std::lock_guard lock(mutex_);
    auto& endpoint = endpoints_[number];
    const auto sequences = batch.sequences();
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      const auto sequence = sequences[i];
      endpoint.acknowledged_last = std::max(endpoint.acknowledged_last, sequence);
      if (endpoint.acknowledged.contains(sequence) || !endpoint.acknowledged.has_room(sequence)) {
        continue;
      }
      forget(endpoint, {sequence, sequence}, batch.samples_of(i));
    }
    trim_head(0);
    if (store_.oldest()) wake_disk = !std::exchange(progress_, true);
  }
  if (wake_disk) disk_wanted_.notify_one();
}

/// The endpoint will not get these scrapes from now on; `samples` of them were waiting.
void Buffer::forget(Endpoint& endpoint, Acknowledged::Range range, std::uint64_t samples) {
  auto& state = endpoint.state;
  endpoint.acknowledged.add(range.first, range.last);
  state.samples -= std::min<std::size_t>(state.samples, samples);
  if (endpoint.acknowledged.next() >= next_sequence_) state.samples = 0;
}

/// The same, and it should have got them.
void Buffer::drop(Endpoint& endpoint, Acknowledged::Range range, std::uint64_t samples,
                  DropReason reason) {
  forget(endpoint, range, samples);
  endpoint.state.dropped[static_cast<std::size_t>(reason)] += samples;
}

/// Lets go of what is on disk, and of what nobody waits for.
void Buffer::trim_head(std::uint64_t stored_until) {
  head_.trim([&](std::uint64_t sequence) { return sequence <= stored_until || is_done(sequence); });
  if (is_done(head_.newest().sequence)) head_.forget_newest();
}

void Buffer::drop_front_of_head() {
  const auto& front = head_.scrapes().front();
  for (auto& endpoint : endpoints_) {
    if (endpoint.acknowledged.contains(front.sequence)) continue;
    drop(endpoint, {front.sequence, front.sequence}, front.scrape->values.size(),
         DropReason::memory);
  }
  head_.drop_front();
}

void Buffer::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
}

bool Buffer::close(std::int64_t deadline_ns) {
  std::unique_lock lock(mutex_);
  closing_ = true;
  disk_wanted_.notify_one();
  return changed_.wait_for(lock, left_until(deadline_ns), [&] { return closed_; });
}

Buffer::EndpointState Buffer::state(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  const auto& endpoint = endpoints_[number];
  auto state = endpoint.state;
  const auto next = endpoint.acknowledged.next();
  if (next >= next_sequence_) return state;
  const auto* waiting = head_.find(next);
  if (waiting != nullptr && waiting->sequence == next) {
    state.oldest_timestamp_ms = waiting->scrape->timestamp_ms;
  } else if (!endpoint.read.empty() && endpoint.read.front().first_sequence == next) {
    state.oldest_timestamp_ms = endpoint.read.front().scrape->timestamp_ms;
  } else if (const auto segment = store_.find(next)) {
    state.oldest_timestamp_ms = segment->summary.first_timestamp_ms;
  } else if (waiting != nullptr) {
    state.oldest_timestamp_ms = waiting->scrape->timestamp_ms;
  }
  return state;
}

Buffer::State Buffer::state() const {
  const auto totals = store_.totals();
  const std::lock_guard lock(mutex_);
  State state{totals.bytes, totals.segments, store_.damaged() + holes_, memory_only_,
              free_space_guard_};
  for (const auto& endpoint : endpoints_) state.damaged_records += endpoint.damaged_told;
  return state;
}

}  // namespace msp
