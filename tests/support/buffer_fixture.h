// A buffer on files in memory, and what its tests ask it.
#pragma once

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "agent/queue/queue.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"

namespace msp::test {

using Times = std::vector<std::int64_t>;

inline constexpr std::size_t kMany = 1 << 20;
inline constexpr std::int64_t kNow = std::numeric_limits<std::int64_t>::max();
inline const auto kSet = series_set({"a", "b"});

inline Buffer::Options options(MemoryFileSystem& files,
                               std::vector<std::string> endpoints = {"a"}) {
  Buffer::Options options;
  options.endpoints = std::move(endpoints);
  options.folder = "/disk/buffer";
  options.head_folder = "/run/buffer";
  options.files = &files;
  return options;
}

inline std::unique_ptr<Buffer> open(Buffer::Options options) {
  auto opened = Buffer::open(std::move(options));
  INFO((opened ? "" : opened.error().text));
  REQUIRE(opened);
  return std::move(*opened);
}

struct BufferFixture {
  MemoryFileSystem files;
  std::unique_ptr<Buffer> buffer = open(options(files));

  void append(const Times& times) {
    for (const auto t : times) buffer->append(scrape(t, kSet, {1, 2}));
  }
  void reopen(Buffer::Options with) {
    buffer.reset();
    buffer = open(std::move(with));
  }
  void reopen() { reopen(options(files)); }
};

inline Times times_of(Batch& batch) {
  Times all;
  if (batch.empty()) return all;
  for (const auto& point : batch.points(batch.rows()[0])) all.push_back(point.timestamp_ms);
  return all;
}

inline Times peeked(Buffer& buffer, std::size_t endpoint = 0, std::size_t samples_max = kMany,
                    std::uint64_t from = 0) {
  Batch batch;
  buffer.peek(endpoint, samples_max, batch, from);
  return times_of(batch);
}

inline Times taken(Buffer& buffer, std::size_t endpoint = 0, std::size_t samples_max = kMany) {
  Batch batch;
  if (buffer.peek(endpoint, samples_max, batch)) buffer.ack(endpoint, batch);
  return times_of(batch);
}

inline Times newest_peeked(Buffer& buffer, std::size_t endpoint = 0) {
  Batch batch;
  buffer.peek_newest(endpoint, batch);
  return times_of(batch);
}

inline Times newest_taken(Buffer& buffer, std::size_t endpoint = 0) {
  Batch batch;
  if (buffer.peek_newest(endpoint, batch)) buffer.ack(endpoint, batch);
  return times_of(batch);
}

inline std::uint64_t dropped(const Buffer& buffer, std::size_t endpoint, DropReason reason) {
  return buffer.state(endpoint).dropped[static_cast<std::size_t>(reason)];
}

}  // namespace msp::test
