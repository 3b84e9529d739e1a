// The queue on a real file system that is full, read-only, gone or somebody else's: a small tmpfs,
// mounted in a mount namespace that only this process is in.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <memory>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/queue/queue.h"
#include "agent/queue/spiller.h"
#include "tests/support/scrapes.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

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
metrics::Scrape noisy_scrape(std::int64_t timestamp_ms) {
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
    options.folder = point / "buffer";
    options.wal_folder = point / "wal";
    options.limits.free_bytes_min = 0;
    options.timing.retry_ns = 0;
  }

  ~Fixture() {
    close();
    ::umount2(point.c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove(point, ignored);
  }

  void close() {
    spiller.reset();
    queue.reset();
  }
  void round() { spiller->round(true); }

  void open() {
    close();
    auto opened = queue::Queue::open(options);
    INFO((opened ? "" : opened.error().text));
    REQUIRE(opened);
    queue = std::move(*opened);
    spiller = std::make_unique<queue::Spiller>(*queue);
    queue->add_consumer("a");
  }

  void append(int count) {
    for (; count > 0; --count) queue->append(noisy_scrape(++appended));
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
    CHECK(queue->state(0).samples == kSeries * static_cast<std::size_t>(count));
    auto next = appended - count + 1;
    queue::Batch batch;
    while (queue->read(0, {.lane = queue::Wanted::Lane::all, .samples_max = kMany}, batch)) {
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
      queue->ack(0, batch);
    }
    CHECK(next == appended + 1);
    CHECK(queue->state(0).samples == 0);
  }

  std::uint64_t dropped(queue::DropReason reason) const {
    return queue->state(0).dropped[static_cast<std::size_t>(reason)];
  }
  bool memory_only() const { return queue->state().memory_only; }

  fs::path point;
  queue::Queue::Options options;
  std::unique_ptr<queue::Queue> queue;
  std::unique_ptr<queue::Spiller> spiller;
  std::int64_t appended = 0;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a disk is filled to the brim and released: nothing that fits is lost") {
  open();
  append(20);
  round();
  REQUIRE_FALSE(memory_only());
  fill();
  for (int i = 0; i < 30; ++i) {
    append(10);
    round();
    REQUIRE(memory_only());
  }
  CHECK(dropped(queue::DropReason::memory) == 0);
  CHECK(queue->state().damaged_records == 0);
  release();
  round();
  CHECK_FALSE(memory_only());
  append(1);
  open();  // as after a crash
  check_waiting(321);
}

TEST_CASE_METHOD(Fixture, "a disk stays full: the oldest go beyond the memory limit, counted") {
  options.timing.retry_ns = 3'600 * kNsPerSecond;  // not the whole log anew at each append
  open();
  fill();
  append(700);
  round();
  REQUIRE(memory_only());
  const auto room =
      static_cast<int>(queue::Queue::kMemoryBytesMax / (kSeries * 8 + sizeof(metrics::Scrape)));
  CHECK(dropped(queue::DropReason::memory) == kSeries * static_cast<std::size_t>(700 - room));
  check_waiting(room);
}

TEST_CASE_METHOD(Fixture, "a disk that fills up in the middle of a write") {
  open();
  append(300);
  round();  // 2.4 MB, and as much in the head's file: something does not fit
  REQUIRE(memory_only());
  fs::remove(point / "wal" / "wal");
  append(1);
  round();
  CHECK(dropped(queue::DropReason::memory) == 0);
  CHECK(queue->state().damaged_records == 0);
  check_waiting(301);
}

TEST_CASE_METHOD(Fixture, "a start on a full disk") {
  fs::create_directories(options.folder);
  fill();
  open();
  append(10);
  round();
  CHECK(memory_only());
  release();
  round();
  CHECK_FALSE(memory_only());
  open();
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "a file system that becomes read-only, and works again") {
  options.wal_folder = point / "buffer";
  open();
  append(5);
  round();
  close();  // a file that is open for writing would keep it writable
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  open();
  append(5);
  round();
  CHECK(memory_only());
  CHECK(queue->state(0).samples == 10 * kSeries);
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT, nullptr) == 0);
  round();
  CHECK_FALSE(memory_only());
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "what is kept on a read-only file system is delivered from there") {
  open();
  append(5);
  round();
  close();
  REQUIRE(::mount(nullptr, point.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) == 0);
  open();
  check_waiting(5);
}

TEST_CASE_METHOD(Fixture, "a folder that is removed while the buffer works is made again") {
  options.wal_folder = point / "wal";
  open();
  append(5);
  round();
  fs::remove_all(options.folder);
  append(3);
  round();
  CHECK_FALSE(memory_only());
  CHECK(dropped(queue::DropReason::damage) == 5 * kSeries);
  CHECK(queue->state(0).samples == 3 * kSeries);
  open();
  check_waiting(3);
}

TEST_CASE_METHOD(Fixture, "a folder of somebody else is left alone, and used when it may be") {
  fs::create_directories(options.folder);
  REQUIRE(::chmod(options.folder.c_str(), 0700) == 0);
  options.wal_folder = options.folder;
  INFO("to become another user needs root");
  REQUIRE(::seteuid(65534) == 0);
  open();
  append(5);
  round();
  const bool was_memory_only = memory_only();
  REQUIRE(::seteuid(0) == 0);
  CHECK(was_memory_only);
  CHECK(fs::is_empty(options.folder));
  REQUIRE(::chown(options.folder.c_str(), 65534, 65534) == 0);
  REQUIRE(::seteuid(65534) == 0);
  round();
  open();
  REQUIRE(::seteuid(0) == 0);
  CHECK_FALSE(memory_only());
  check_waiting(5);
}

TEST_CASE_METHOD(Fixture, "the free-space guard gives way to others before the disk is full") {
  options.limits.free_bytes_min = 512 << 20;  // 5 % of 4 MiB is less
  options.wal_folder = fs::path("/dev/shm") / point.filename();
  open();
  append(10);
  round();
  CHECK_FALSE(queue->state().free_space_guard);
  fill();
  append(10);
  round();
  CHECK(queue->state().free_space_guard);
  CHECK(queue->state().segments == 0);
  CHECK(dropped(queue::DropReason::free_space) == 10 * kSeries);
  release();
  round();
  CHECK_FALSE(queue->state().free_space_guard);
  fs::remove_all(options.wal_folder);
  check_waiting(10);
}

TEST_CASE_METHOD(Fixture, "a second buffer on the same folder names the process that has it") {
  open();
  const auto second = queue::Queue::open(options);
  REQUIRE_FALSE(second);
  CHECK(second.error().text.find("process " + std::to_string(::getpid()) + ":") !=
        std::string::npos);
  close();
  open();
}

}  // namespace msp
