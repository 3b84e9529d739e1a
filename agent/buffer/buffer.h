// Where samples wait until every endpoint has them. One thread appends; each endpoint has a cursor
// of its own and one thread that peeks, sends and acknowledges. A scrape leaves when all endpoints
// have acknowledged it, or when the buffer is full: then the oldest goes first, counted for each
// endpoint that had not got it.
//
// Held in memory, at most bytes_max; what is not sent when the process ends is lost.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/buffer/batch.h"
#include "agent/core/sample.h"

namespace msp {

/// Any thread, unless said otherwise. Endpoints are numbered from 0.
class Buffer {
 public:
  struct EndpointState {
    std::size_t samples = 0;            // waiting
    std::uint64_t samples_dropped = 0;  // since start, because the buffer was full
  };

  Buffer(std::size_t endpoints, std::size_t bytes_max);

  /// Takes a scrape. Never blocks for I/O, never fails.
  void append(Scrape scrape);

  /// Fills `batch` with the oldest scrapes that `endpoint` has not acknowledged: at least one, then
  /// as many as fit into samples_max. It ends early where the wall clock went back, for the samples
  /// of a series must go in time order. False, and `batch` empty, when nothing is waiting.
  bool peek(std::size_t endpoint, std::size_t samples_max, Batch& batch);

  /// The endpoint is done with these scrapes: delivered, or refused for good. What it has
  /// acknowledged before, or the buffer has dropped meanwhile, does not matter.
  void ack(std::size_t endpoint, const Batch& batch);

  /// Returns when something is waiting for `endpoint`, when wake() was called, or at `until_ns`
  /// (monotonic clock; 0: no limit).
  void wait(std::size_t endpoint, std::int64_t until_ns);

  /// The same but returns early for wake() only: to wait out a back-off.
  void pause(std::int64_t until_ns);

  /// Ends every wait and pause from now on: the agent is stopping.
  void wake();

  EndpointState state(std::size_t endpoint) const;

 private:
  struct Cursor {
    std::uint64_t next = 0;  // sequence of the first scrape not acknowledged
    EndpointState state;
  };

  void drop_oldest();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool awake_ = false;
  std::deque<std::shared_ptr<const Scrape>> scrapes_;
  std::uint64_t first_ = 0;  // sequence of scrapes_.front()
  std::size_t bytes_ = 0;
  std::size_t bytes_max_;
  std::vector<Cursor> cursors_;
};

}  // namespace msp
