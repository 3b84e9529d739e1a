// The part of Buffer that knows who is delivered to: endpoints that come and go while the agent
// runs, and what their threads wait for.
#include <algorithm>
#include <chrono>
#include <utility>

#include "agent/base/clock.h"
#include "agent/queue/queue.h"

namespace msp {

std::size_t Buffer::add_endpoint(const std::string& name) {
  bool wake_disk = false;
  std::size_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto find = [&](std::string_view wanted) {
      return std::find_if(endpoints_.begin(), endpoints_.end(),
                          [&](const Endpoint& endpoint) { return endpoint.name == wanted; });
    };
    auto found = find(name);
    if (found == endpoints_.end()) {
      found = find("");
      if (found == endpoints_.end()) found = endpoints_.emplace(endpoints_.end());
      found->name = name;
      found->state = {};
      const auto stored = store_.oldest();
      const auto first = stored          ? stored->summary.first_sequence
                         : head_.empty() ? next_sequence_
                                         : head_.scrapes().front().sequence;
      found->acknowledged = Acknowledged(first);
      found->state.samples = samples_in_head(found->acknowledged, 0);
      // What is in the store the disk thread counts.
      recount_wanted_ = stored.has_value();
      wake_disk = recount_wanted_ && !std::exchange(progress_, true);
    }
    found->ended = false;
    number = static_cast<std::size_t>(found - endpoints_.begin());
  }
  if (wake_disk) disk_wanted_.notify_one();
  return number;
}

void Buffer::end_endpoint(std::size_t number) {
  {
    const std::lock_guard lock(mutex_);
    endpoints_[number].ended = true;
  }
  changed_.notify_all();
}

void Buffer::remove_endpoint(std::size_t number) {
  const std::lock_guard lock(mutex_);
  auto& endpoint = endpoints_[number];
  endpoint.name.clear();
  endpoint.ended = true;
  forget(endpoint, {0, next_sequence_ - 1}, 0);
  trim_head(0);
}

bool Buffer::wait(std::size_t number) {
  std::unique_lock lock(mutex_);
  const auto& endpoint = endpoints_[number];
  const auto is_waiting = [&] { return endpoint.acknowledged.next() < next_sequence_; };
  changed_.wait(
      lock, [&] { return stopping_ || endpoint.interrupted || endpoint.ended || is_waiting(); });
  return is_waiting() || !endpoint.ended;
}

bool Buffer::wait_newest(std::size_t number, std::int64_t until_ns) {
  std::unique_lock lock(mutex_);
  const auto& endpoint = endpoints_[number];
  // What waits in the head now does not go by itself.
  if (!head_.empty() && !has_fresh(endpoint) && !std::exchange(spill_wanted_, true)) {
    disk_wanted_.notify_one();
  }
  changed_.wait_for(lock, left_until(until_ns),
                    [&] { return stopping_ || endpoint.interrupted || has_fresh(endpoint); });
  return !stopping_ && has_fresh(endpoint);
}

void Buffer::pause(std::size_t number, std::int64_t until_ns) {
  std::unique_lock lock(mutex_);
  const auto& endpoint = endpoints_[number];
  if (!std::exchange(spill_wanted_, true)) disk_wanted_.notify_one();
  changed_.wait_for(lock, left_until(until_ns), [&] { return stopping_ || endpoint.interrupted; });
}

void Buffer::interrupt(std::size_t number, bool is_interrupted) {
  {
    const std::lock_guard lock(mutex_);
    endpoints_[number].interrupted = is_interrupted;
  }
  changed_.notify_all();
}

}  // namespace msp
