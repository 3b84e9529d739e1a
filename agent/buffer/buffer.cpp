#include "agent/buffer/buffer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/core/clock.h"

namespace msp {
namespace {

/// Memory of a scrape beside its series, which it shares with the scrapes around it as long as
/// nothing changes.
std::size_t bytes_of(const Scrape& scrape) {
  return sizeof(Scrape) + scrape.values.size() * sizeof(double);
}

/// Memory of a set that is not shared with the scrape before.
std::size_t bytes_of(const SeriesSet& set) {
  return set.size() * sizeof(SeriesPtr);
}

}  // namespace

Buffer::Buffer(std::size_t endpoints, std::size_t bytes_max)
    : bytes_max_(bytes_max), cursors_(endpoints) {}

void Buffer::append(Scrape scrape) {
  auto shared = std::make_shared<const Scrape>(std::move(scrape));
  {
    const std::lock_guard lock(mutex_);
    bytes_ += bytes_of(*shared);
    if (scrapes_.empty() || scrapes_.back()->series != shared->series) {
      bytes_ += bytes_of(*shared->series);
    }
    for (auto& cursor : cursors_) cursor.state.samples += shared->values.size();
    scrapes_.push_back(std::move(shared));
    while (bytes_ > bytes_max_ && scrapes_.size() > 1) {
      for (auto& cursor : cursors_) {
        if (cursor.next != first_) continue;
        const auto samples = scrapes_.front()->values.size();
        cursor.state.samples -= samples;
        cursor.state.samples_dropped += samples;
        ++cursor.next;
      }
      drop_oldest();
    }
  }
  changed_.notify_all();
}

void Buffer::drop_oldest() {
  const auto gone = std::move(scrapes_.front());
  scrapes_.pop_front();
  ++first_;
  bytes_ -= bytes_of(*gone);
  if (scrapes_.empty() || scrapes_.front()->series != gone->series) {
    bytes_ -= bytes_of(*gone->series);
  }
}

bool Buffer::peek(std::size_t endpoint, std::size_t samples_max, Batch& batch) {
  batch.clear();
  const std::lock_guard lock(mutex_);
  for (auto next = cursors_[endpoint].next; next < first_ + scrapes_.size(); ++next) {
    const auto& scrape = scrapes_[next - first_];
    if (!batch.empty() && (batch.samples() + scrape->values.size() > samples_max ||
                           scrape->timestamp_ms <= batch.last_timestamp_ms())) {
      break;
    }
    batch.add(next, scrape);
  }
  return !batch.empty();
}

void Buffer::ack(std::size_t endpoint, const Batch& batch) {
  const std::lock_guard lock(mutex_);
  auto& cursor = cursors_[endpoint];
  for (; cursor.next <= batch.last_sequence(); ++cursor.next) {
    cursor.state.samples -= scrapes_[cursor.next - first_]->values.size();
  }
  const auto slowest =
      std::min_element(cursors_.begin(), cursors_.end(),
                       [](const Cursor& a, const Cursor& b) { return a.next < b.next; });
  while (first_ < slowest->next) drop_oldest();
}

void Buffer::wait(std::size_t endpoint, std::int64_t until_ns) {
  std::unique_lock lock(mutex_);
  const auto ready = [&] { return awake_ || cursors_[endpoint].next < first_ + scrapes_.size(); };
  if (until_ns == 0) {
    changed_.wait(lock, ready);
  } else {
    changed_.wait_for(lock, std::chrono::nanoseconds(until_ns - monotonic_ns()), ready);
  }
}

void Buffer::pause(std::int64_t until_ns) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::nanoseconds(until_ns - monotonic_ns()),
                    [&] { return awake_; });
}

void Buffer::wake() {
  {
    const std::lock_guard lock(mutex_);
    awake_ = true;
  }
  changed_.notify_all();
}

Buffer::EndpointState Buffer::state(std::size_t endpoint) const {
  const std::lock_guard lock(mutex_);
  return cursors_[endpoint].state;
}

}  // namespace msp
