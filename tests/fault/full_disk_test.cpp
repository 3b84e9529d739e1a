// The buffer on a real file system that is full, read-only, gone or somebody else's: a small tmpfs,
// mounted in a mount namespace that only this process is in.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <limits>
#include <memory>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/queue/queue.h"
#include "tests/support/scrapes.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

constexpr std::int64_t kNow = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kSeries = 1000;
constexpr std::size_t kMany = 1 << 30;

/// Once for the process, before it has threads.
void enter_private_namespace() {
  static bool entered = false;
  if (entered) return;
  INFO("a mount namespace of its own needs root");
  REQUIRE(::unshare(CLONE_NEWNS) == 0);
  REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  entered = true;
}

/// Values that do not compress: 8 bytes each on disk.
Scrape noisy_scrape(std::int64_t timestamp_ms) {
  static const auto set = [] {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kSeries; ++i) names.push_back("metric_" + std::to_string(i));
    return test::series_set(names);
  }();
  std::vector<double> values;
  for (std::size_t i = 0; i < kSeries; ++i) {
    values.push_back(1.0 / static_cast<double>(timestamp_ms * 1009 + static_cast<int>(i)));
  }
  return test::scrape(timestamp_ms, set, std::move(values));
}

struct Fixture {
  Fixture() {
    enter_private_namespace();
    char name[] = "/tmp/msp-agent-full-XXXXXX";
    point = mkdtemp(name);
    REQUIRE(::mount("tmpfs", point.c_str(), "tmpfs", 0, "size=4m") == 0);
    options.endpoints = {"a"};
    options.folder = point / "buffer";
    options.head_folder = point / "head";
    options.limits.free_bytes_min = 0;
    options.timing.retry_ns = 0;
  }

  ~Fixture() {
    buffer.reset();
    ::umount2(point.c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove(point, ignored);
  }

  void open() {
    buffer.reset();
    auto opened = Buffer::open(options);
    INFO((opened ? "" : opened.error().text));
    REQUIRE(opened);
    buffer = std::move(*opened);
  }

  void append(int count) {
    for (; count > 0; --count) buffer->append(noisy_scrape(++appended));
  }

  /// Takes every byte that is left.
  void fill() const {
    const Fd file(::open((point / "ballast").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
    REQUIRE(file);
    const std::string block(64 * 1024, 'x');
    for (std::size_t size = block.size(); size > 0; size /= 2) {
      while (::write(file.get(), block.data(), size) > 0) continue;
    }
  }
  void release() const { REQUIRE(::unlink((point / "ballast").c_str()) == 0); }

  /// Everything that waits, which is the newest `count` scrapes in order and bit for bit.
  void check_waiting(int count) {
    CHECK(buffer->state(0).samples == kSeries * static_cast<std::size_t>(count));
    auto next = appended - count + 1;
    Batch batch;
    while (buffer->peek(0, kMany, batch)) {
      for (const auto& row : batch.rows()) {
        const auto points = batch.points(row);
        for (std::size_t i = 0; i < points.size(); ++i) {
          REQUIRE(points[i].timestamp_ms == next + static_cast<int>(i));
        }
      }
      const auto& first_row = batch.rows().front();
      for (const auto& point : batch.points(first_row)) {
        REQUIRE(point.value == noisy_scrape(point.timestamp_ms).values[0]);
        ++next;
      }
      buffer->ack(0, batch);
    }
    CHECK(next == appended + 1);
    CHECK(buffer->state(0).samples == 0);
  }

  std::uint64_t dropped(DropReason reason) const {
    return buffer->state(0).dropped[static_cast<std::size_t>(reason)];
  }
  bool memory_only() const { return buffer->state().memory_only; }

  fs::path point;
  Buffer::Options options;
  std::unique_ptr<Buffer> buffer;
  std::int64_t appended = 0;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a disk is filled to the brim and released: nothing that fits is lost") {
  open();
  append(20);
  buffer->disk_round(kNow);
  REQUIRE_FALSE(memory_only());
  fill();
  for (int i = 0; i < 30; ++i) {
    append(10);
    buffer->disk_round(kNow);
    REQUIRE(memory_only());
  }
  CHECK(dropped(DropReason::memory) == 0);
  CHECK(buffer->state().damaged_records == 0);
  release();
  buffer->disk_round(kNow);
  CHECK_FALSE(memory_only());
  append(1);
  open();  // as after a crash
  check_waiting(321);
}

TEST_CASE_METHOD(Fixture, "a disk stays full: the oldest go beyond the memory limit, counted") {
  open();
  fill();
  append(700);
  buffer->disk_round(kNow);
  REQUIRE(memory_only());
  const auto room = static_cast<int>(Buffer::kHeadBytesMax / (kSeries * 8 + sizeof(Scrape)));
  CHECK(dropped(DropReason::memory) == kSeries * static_cast<std::size_t>(700 - room));
  check_waiting(room);
}

TEST_CASE_METHOD(Fixture, "a disk that fills up in the middle of a write") {
  open();
  append(300);
  buffer->disk_round(kNow);  // 2.4 MB, and as much in the head's file: something does not fit
  REQUIRE(memory_only());
  fs::remove(point / "head" / "head");
  append(1);
  buffer->disk_round(kNow);
  CHECK(dropped(DropReason::memory) == 0);
  CHECK(buffer->state().damaged_records == 0);
  check_waiting(301);
}

TEST_CASE_METHOD(Fixture, "a start on a full disk") {
  fs::create_directories(options.folder);
  fill();
  open();
  append(10);
  buffer->disk_round(kNow);
  CHECK(memory_only());
  release();
  buffer->disk_round(kNow);
  CHECK_FALSE(memory_only());
  open();
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "a file system that becomes read-only, and is mended") {
  options.head_folder = point / "buffer";
  open();
  append(5);
  buffer->disk_round(kNow);
  buffer.reset();  // a file that is open for writing would keep it writable
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  open();
  append(5);
  buffer->disk_round(kNow);
  CHECK(memory_only());
  CHECK(buffer->state(0).samples == 10 * kSeries);
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT, nullptr) == 0);
  buffer->disk_round(kNow);
  CHECK_FALSE(memory_only());
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "what is kept on a read-only file system is delivered from there") {
  open();
  append(5);
  buffer->disk_round(kNow);
  buffer.reset();
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  open();
  check_waiting(5);
}

TEST_CASE_METHOD(Fixture, "a folder that is removed while the buffer works is made again") {
  options.head_folder = point / "head";
  open();
  append(5);
  buffer->disk_round(kNow);
  fs::remove_all(options.folder);
  append(3);
  buffer->disk_round(kNow);
  CHECK_FALSE(memory_only());
  CHECK(dropped(DropReason::damage) == 5 * kSeries);
  open();
  check_waiting(3);
}

TEST_CASE_METHOD(Fixture, "a folder of somebody else is left alone, and used when it may be") {
  fs::create_directories(options.folder);
  REQUIRE(::chmod(options.folder.c_str(), 0700) == 0);
  options.head_folder = options.folder;
  INFO("to become another user needs root");
  REQUIRE(::seteuid(65534) == 0);
  open();
  append(5);
  buffer->disk_round(kNow);
  const bool was_memory_only = memory_only();
  REQUIRE(::seteuid(0) == 0);
  CHECK(was_memory_only);
  CHECK(fs::is_empty(options.folder));
  REQUIRE(::chown(options.folder.c_str(), 65534, 65534) == 0);
  REQUIRE(::seteuid(65534) == 0);
  buffer->disk_round(kNow);
  open();
  REQUIRE(::seteuid(0) == 0);
  CHECK_FALSE(memory_only());
  check_waiting(5);
}

TEST_CASE_METHOD(Fixture, "the free-space guard gives way to others before the disk is full") {
  options.limits.free_bytes_min = 512 << 20;  // 5 % of 4 MiB is less
  options.head_folder = fs::path("/dev/shm") / point.filename();
  open();
  append(10);
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().free_space_guard);
  fill();
  append(10);
  buffer->disk_round(kNow);
  CHECK(buffer->state().free_space_guard);
  CHECK(buffer->state().segments == 0);
  CHECK(dropped(DropReason::free_space) == 10 * kSeries);
  release();
  buffer->disk_round(kNow);
  CHECK_FALSE(buffer->state().free_space_guard);
  fs::remove_all(options.head_folder);
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "a second buffer on the same folder names the process that has it") {
  open();
  const auto second = Buffer::open(options);
  REQUIRE_FALSE(second);
  CHECK(second.error().text.find("process " + std::to_string(::getpid()) + ":") !=
        std::string::npos);
  buffer.reset();
  open();
}

}  // namespace msp
