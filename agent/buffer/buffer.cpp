#include "agent/buffer/buffer.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "agent/core/clock.h"
#include "agent/core/text.h"
#include "agent/self/log.h"

namespace msp {
namespace {

// A head that never empties makes its file longer: it is written anew beyond this, and twice what
// is in use.
constexpr std::uint64_t kHeadFileSlack = 256 * 1024;
constexpr std::string_view kNotCrashSafe =
    "; what was just collected does not survive a crash of the agent";

}  // namespace

std::string_view drop_reason_name(DropReason reason) {
  constexpr std::string_view kNames[kDropReasons] = {"max_size", "max_age", "free_space", "memory",
                                                     "damage"};
  return kNames[static_cast<std::size_t>(reason)];
}

Buffer::Buffer(Options options)
    : options_(std::move(options)),
      store_(*options_.files, options_.folder,
             std::min<std::uint64_t>(Store::kSegmentBytes, options_.limits.bytes_max / 8)) {
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

Result<void> Buffer::open_head_file() {
  static_cast<void>(options_.files->make_folder(options_.head_folder));
  return head_file_.open(*options_.files, options_.head_folder + "/head");
}

void Buffer::recover() {
  open_store();
  next_sequence_ = store_.last_sequence() + 1;
  if (const auto opened = open_head_file(); !opened) {
    log_warning(cat("buffer: ", opened.error().text, kNotCrashSafe));
  } else if (auto scrapes = head_file_.read()) {
    for (auto& stored : *scrapes) {
      if (stored.sequence < next_sequence_) continue;  // it has reached the store
      next_sequence_ = stored.sequence + 1;
      push_to_head(stored.sequence, std::move(stored.scrape));
    }
  } else {
    log_warning(cat("buffer: ", scrapes.error().text));
  }

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
  const auto in_store = store_.oldest();
  const auto end = next_sequence_;
  for (const auto& [name, next] : saved_) next_sequence_ = std::max(next_sequence_, next);
  const auto oldest = in_store        ? in_store->summary.first_sequence
                      : head_.empty() ? next_sequence_
                                      : head_.front().sequence;
  place_cursors(in_store || !head_.empty(), oldest, end);
  spill_wanted_ = !head_.empty();
  progress_ = in_store.has_value();
  trim_head(slowest());
}

/// A new endpoint gets all that is kept: its name may be the mended one of an endpoint that did not
/// work. A cursor beyond all that is kept is not one of ours, which point at what is on disk:
/// better twice than not at all.
void Buffer::place_cursors(bool anything_kept, std::uint64_t oldest, std::uint64_t end) {
  for (auto& endpoint : endpoints_) {
    const auto saved = saved_.find(endpoint.name);
    const bool usable = saved != saved_.end() && (!anything_kept || saved->second <= end);
    endpoint.next = usable ? std::max(saved->second, oldest) : oldest;
    endpoint.state.samples =
        store_.count_samples_from(endpoint.next) + samples_in_head(endpoint.next);
  }
}

std::size_t Buffer::samples_in_head(std::uint64_t sequence) const {
  std::size_t samples = 0;
  for (const auto& waiting : head_) {
    if (waiting.sequence >= sequence) samples += waiting.scrape->values.size();
  }
  return samples;
}

void Buffer::push_to_head(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape) {
  const auto bytes = sizeof(Scrape) + scrape->values.size() * sizeof(double);
  head_bytes_ += bytes;
  head_.push_back({sequence, std::move(scrape), monotonic_ns(), bytes});
}

void Buffer::append(Scrape scrape) {
  auto shared = std::make_shared<const Scrape>(std::move(scrape));
  bool wake_disk = false;
  {
    const std::lock_guard lock(mutex_);
    for (auto& endpoint : endpoints_) endpoint.state.samples += shared->values.size();
    push_to_head(next_sequence_++, std::move(shared));
    copy_to_head_file();
    while (head_bytes_ > kHeadBytesMax && head_.size() > 1) drop_front_of_head();
    const bool is_slow =
        head_.back().appended_ns - head_.front().appended_ns > options_.timing.spill_after_ns;
    if (has_backlog() || is_slow) wake_disk = !std::exchange(spill_wanted_, true);
  }
  changed_.notify_all();
  if (wake_disk) disk_wanted_.notify_one();
}

/// Writes the newest of the head to the file.
void Buffer::copy_to_head_file() {
  Result<void> copied;
  if (head_file_.is_open()) {
    copied = head_file_.append(head_.back().sequence, *head_.back().scrape);
    if (copied && head_file_.bytes() > 2 * head_bytes_ + kHeadFileSlack) {
      copied = rewrite_head_file();
    }
  } else {
    if (monotonic_ns() < head_file_retry_ns_) return;
    head_file_retry_ns_ = monotonic_ns() + options_.timing.retry_ns;
    if (!open_head_file()) return;
    copied = rewrite_head_file();
  }
  if (copied) return;
  log_warning(cat("buffer: ", copied.error().text, kNotCrashSafe));
  head_file_retry_ns_ = monotonic_ns() + options_.timing.retry_ns;
}

Result<void> Buffer::rewrite_head_file() {
  std::vector<ScrapeDecoder::Decoded> scrapes;
  for (const auto& waiting : head_) scrapes.push_back({waiting.sequence, waiting.scrape});
  return head_file_.rewrite(scrapes);
}

/// Whether somebody still waits for what is in the store.
bool Buffer::has_backlog() const {
  const auto oldest = store_.oldest();
  return oldest && slowest() <= store_.last_sequence();
}

std::uint64_t Buffer::slowest() const {
  std::uint64_t slowest = next_sequence_;
  for (const auto& endpoint : endpoints_) slowest = std::min(slowest, endpoint.next);
  return slowest;
}

bool Buffer::peek(std::size_t number, std::size_t samples_max, Batch& batch) {
  batch.clear();
  std::unique_lock lock(mutex_);
  auto& endpoint = endpoints_[number];
  const auto take = [&](std::uint64_t sequence, const std::shared_ptr<const Scrape>& scrape) {
    if (!batch.empty() && (batch.samples() + scrape->values.size() > samples_max ||
                           scrape->timestamp_ms <= batch.last_timestamp_ms())) {
      return false;
    }
    batch.add(sequence, scrape);
    return true;
  };

  auto next = endpoint.next;
  while (next < next_sequence_ && (head_.empty() || next < head_.front().sequence)) {
    next = std::max(next, endpoint.next);  // a limit may have taken some during the last read
    const auto stored_until = store_.last_sequence();
    const auto* stored = next <= stored_until ? read_from_store(endpoint, next, lock) : nullptr;
    if (stored != nullptr && stored->sequence < endpoint.next) continue;
    if (stored != nullptr) {
      if (!take(stored->sequence, stored->scrape)) return true;
      next = stored->sequence + 1;
      continue;
    }
    // Neither in the store nor in the head: a limit or damage took it.
    if (next <= stored_until) {
      next = stored_until + 1;
    } else {
      next = head_.empty() ? next_sequence_ : head_.front().sequence;
    }
    if (batch.empty()) skip_to(endpoint, next);
  }
  for (const auto& waiting : head_) {
    if (waiting.sequence < next) continue;
    if (!take(waiting.sequence, waiting.scrape)) break;
  }
  return !batch.empty();
}

/// The first scrape from `sequence` on that the store has; null where it has none. Gives up the
/// lock while it reads.
const ScrapeDecoder::Decoded* Buffer::read_from_store(Endpoint& endpoint, std::uint64_t sequence,
                                                      std::unique_lock<std::mutex>& lock) {
  while (!endpoint.read.empty() && endpoint.read.front().sequence < endpoint.next) {
    endpoint.read.pop_front();
  }
  for (const auto& stored : endpoint.read) {
    if (stored.sequence >= sequence) return &stored;
  }
  lock.unlock();
  auto stored = endpoint.reader.next(store_, sequence);
  lock.lock();
  const auto lost = endpoint.reader.lost_samples() - endpoint.lost_told;
  endpoint.lost_told += lost;
  endpoint.damaged_told = endpoint.reader.damaged();
  endpoint.state.dropped[static_cast<std::size_t>(DropReason::damage)] += lost;
  endpoint.state.samples -= std::min<std::size_t>(endpoint.state.samples, lost);
  if (!stored) return nullptr;
  return &endpoint.read.emplace_back(std::move(*stored));
}

void Buffer::skip_to(Endpoint& endpoint, std::uint64_t next) {
  endpoint.next = std::max(endpoint.next, next);
  if (endpoint.next >= next_sequence_) endpoint.state.samples = 0;
}

void Buffer::ack(std::size_t number, const Batch& batch) {
  bool wake_disk = false;
  {
    const std::lock_guard lock(mutex_);
    auto& endpoint = endpoints_[number];
    const auto samples = batch.samples_from(endpoint.next);
    endpoint.state.samples -= std::min<std::size_t>(endpoint.state.samples, samples);
    skip_to(endpoint, batch.last_sequence() + 1);
    trim_head(slowest());
    if (store_.oldest()) wake_disk = !std::exchange(progress_, true);
  }
  if (wake_disk) disk_wanted_.notify_one();
}

/// Lets go of what is before `needed`.
void Buffer::trim_head(std::uint64_t needed) {
  if (head_.empty() || head_.front().sequence >= needed) return;
  while (!head_.empty() && head_.front().sequence < needed) {
    head_bytes_ -= head_.front().bytes;
    head_.pop_front();
  }
  if (head_.empty() && head_file_.is_open()) static_cast<void>(head_file_.clear());
}

void Buffer::drop_front_of_head() {
  const auto& front = head_.front();
  const auto samples = front.scrape->values.size();
  for (auto& endpoint : endpoints_) {
    if (endpoint.next > front.sequence) continue;
    endpoint.state.samples -= std::min(endpoint.state.samples, samples);
    endpoint.state.dropped[static_cast<std::size_t>(DropReason::memory)] += samples;
    if (endpoint.next == front.sequence) ++endpoint.next;
  }
  head_bytes_ -= front.bytes;
  head_.pop_front();
}

void Buffer::wait(std::size_t number) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return stopping_ || endpoints_[number].next < next_sequence_; });
}

void Buffer::pause(std::int64_t until_ns) {
  std::unique_lock lock(mutex_);
  if (!std::exchange(spill_wanted_, true)) disk_wanted_.notify_one();
  changed_.wait_for(lock, std::chrono::nanoseconds(until_ns - monotonic_ns()),
                    [&] { return stopping_; });
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
  return changed_.wait_for(lock, std::chrono::nanoseconds(deadline_ns - monotonic_ns()),
                           [&] { return closed_; });
}

Buffer::EndpointState Buffer::state(std::size_t number) const {
  const std::lock_guard lock(mutex_);
  const auto& endpoint = endpoints_[number];
  auto state = endpoint.state;
  if (endpoint.next >= next_sequence_) return state;
  if (!head_.empty() && endpoint.next >= head_.front().sequence) {
    const auto oldest =
        std::lower_bound(head_.begin(), head_.end(), endpoint.next,
                         [](const Waiting& w, std::uint64_t next) { return w.sequence < next; });
    if (oldest != head_.end()) state.oldest_timestamp_ms = oldest->scrape->timestamp_ms;
  } else if (!endpoint.read.empty() && endpoint.read.front().sequence >= endpoint.next) {
    state.oldest_timestamp_ms = endpoint.read.front().scrape->timestamp_ms;
  } else if (const auto segment = store_.find(endpoint.next)) {
    state.oldest_timestamp_ms = segment->summary.first_timestamp_ms;
  }
  return state;
}

Buffer::State Buffer::state() const {
  const auto totals = store_.totals();
  const std::lock_guard lock(mutex_);
  State state{totals.bytes, totals.segments, store_.damaged(), memory_only_, free_space_guard_};
  for (const auto& endpoint : endpoints_) state.damaged_records += endpoint.damaged_told;
  return state;
}

}  // namespace msp
