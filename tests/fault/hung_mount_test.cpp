// The filesystem collector against real mounts that do not answer: hung_fs, mounted in a mount
// namespace that only this process is in. Nothing is left behind, whatever fails: each hung_fs ends
// with the pipe that it is told through, its mount with the namespace.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/sources/host.h"
#include "tests/support/collector_options.h"

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace msp {
namespace {

// What does not hang answers long before that, on a busy machine as well.
constexpr auto kTimeout = 3s;

/// Once for the process, before it has threads.
void enter_private_namespace() {
  static bool entered = false;
  if (entered) return;
  INFO("a mount namespace of its own needs root");
  REQUIRE(::unshare(CLONE_NEWNS) == 0);
  REQUIRE(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0);
  entered = true;
}

class HungFs {
 public:
  explicit HungFs(fs::path point) : point_(std::move(point)) {
    fs::create_directories(point_);
    int to[2], from[2];
    REQUIRE(::pipe2(to, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(from, O_CLOEXEC) == 0);
    child_ = ::fork();
    REQUIRE(child_ >= 0);
    if (child_ == 0) {
      // A killed test keeps its pipes open for as long as one of its threads is in statfs.
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      ::execl(HUNG_FS, HUNG_FS, point_.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = Fd(to[1]);
    from_ = Fd(from[0]);
    REQUIRE(line() == "mounted");
  }

  ~HungFs() {
    to_.reset();
    ::waitpid(child_, nullptr, 0);
    ::umount2(point_.c_str(), MNT_DETACH);
  }

  /// Sends the letter and returns when it is in force: how often statfs was asked by then.
  int tell(char command) const {
    REQUIRE(::write(to_.get(), &command, 1) == 1);
    return std::stoi(line());
  }

  const fs::path& point() const { return point_; }

 private:
  std::string line() const {
    std::string text;
    for (char c; ::read(from_.get(), &c, 1) == 1 && c != '\n';) text += c;
    return text;
  }

  fs::path point_;
  pid_t child_ = -1;
  Fd to_, from_;
};

struct Fixture {
  Fixture() {
    enter_private_namespace();
    char name[] = "/tmp/msp-agent-hung-XXXXXX";
    folder = mkdtemp(name);
    REQUIRE(::mount("tmpfs", folder.c_str(), "tmpfs", 0, nullptr) == 0);
    // Only self/mountinfo: pid 1 is in another namespace.
    fs::create_directories(folder / "proc");
    fs::create_symlink("/proc/self", folder / "proc/self");
  }

  ~Fixture() {
    source.reset();
    hung.clear();
    ::umount2(folder.c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove(folder, ignored);
  }

  HungFs& add_hung(const std::string& name) {
    hung.push_back(std::make_unique<HungFs>(folder / name));
    return *hung.back();
  }

  void start(std::vector<std::string> collectors = {"filesystem"}) {
    sources::HostSource::Setup setup;
    setup.wakeup = wakeup;
    setup.collectors = std::move(collectors);
    setup.paths.procfs = folder / "proc";
    const auto options = test::options_of("filesystem");
    test::option<std::chrono::milliseconds>(options, "mount_timeout") = kTimeout;
    test::option<Filter>(options, "mount_points_include") =
        [prefix = folder.string()](std::string_view point) { return point.starts_with(prefix); };
    setup.options.emplace("filesystem", options);
    source = std::make_unique<sources::HostSource>(std::move(setup));
  }

  metrics::Scrape tick() { return sources::scrape_now(*source, {++number, 0}, *wakeup); }

  /// The value of a metric for a mount, or -1. `error` is its label device_error.
  static double value(const metrics::Scrape& scrape, std::string_view name,
                      const fs::path& mount_point, std::string_view error = "") {
    for (std::size_t i = 0; i < scrape.values.size(); ++i) {
      const auto& labels = (*scrape.series)[i]->labels;
      if (labels.get(metrics::kMetricName) == name &&
          labels.get("mountpoint") == mount_point.string() && labels.get("device_error") == error &&
          !metrics::is_stale_marker(scrape.values[i])) {
        return scrape.values[i];
      }
    }
    return -1;
  }

  void check_good(const metrics::Scrape& scrape, const fs::path& point) const {
    INFO(point.string());
    CHECK(value(scrape, "node_filesystem_device_error", point) == 0);
    CHECK(value(scrape, "node_filesystem_size_bytes", point) > 0);
    CHECK(value(scrape, "node_filesystem_avail_bytes", point) > 0);
  }

  void check_stuck(const metrics::Scrape& scrape, const fs::path& point) const {
    INFO(point.string());
    constexpr std::string_view kText = "mountpoint timeout";
    CHECK(value(scrape, "node_filesystem_device_error", point, kText) == 1);
    CHECK(value(scrape, "node_filesystem_readonly", point, kText) == 0);
    CHECK(value(scrape, "node_filesystem_size_bytes", point, kText) == -1);
    CHECK(value(scrape, "node_filesystem_size_bytes", point) == -1);
  }

  static std::ptrdiff_t threads() {
    return std::distance(fs::directory_iterator("/proc/self/task"), fs::directory_iterator{});
  }

  /// Ticks until the mount is reported again: its stuck call needs a moment to return.
  bool recovers(const fs::path& point) {
    const auto give_up = monotonic_ns() + 120 * kNsPerSecond;
    while (monotonic_ns() < give_up) {
      if (value(tick(), "node_filesystem_device_error", point) == 0) return true;
    }
    return false;
  }

  fs::path folder;  // a tmpfs: the mount that always answers
  std::vector<std::unique_ptr<HungFs>> hung;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  std::uint64_t number = 0;
  std::unique_ptr<sources::HostSource> source;
};

}  // namespace

TEST_CASE_METHOD(Fixture, "a mount that never answers costs its own metrics only", "[threads]") {
  auto& mount = add_hung("nfs");
  mount.tell('a');
  start();
  check_good(tick(), mount.point());
  const auto threads_good = threads();

  mount.tell('h');
  const auto hangs_since = monotonic_ns();
  check_stuck(tick(), mount.point());
  CHECK(monotonic_ns() - hangs_since >= kTimeout / 1ns);
  const auto asked = mount.tell('n');
  tick();
  const auto threads_stuck = threads();
  CHECK(threads_stuck <= threads_good + 2);

  const auto begin = monotonic_ns();
  for (int i = 0; i < 100; ++i) {
    const auto scrape = tick();
    check_stuck(scrape, mount.point());
    check_good(scrape, folder);
    CHECK(threads() <= threads_stuck + 2);  // a helper may come and go on a busy machine
  }
  CHECK(monotonic_ns() - begin < 100 * (kTimeout / 1ns) / 2);  // nobody waits for it again
  CHECK(mount.tell('n') == asked);

  mount.tell('a');
  CHECK(recovers(mount.point()));
  check_good(tick(), mount.point());
  check_good(tick(), folder);

  mount.tell('h');
  check_stuck(tick(), mount.point());
  CHECK(threads() <= threads_stuck + 2);
}

TEST_CASE_METHOD(Fixture, "mounts that hang together cost one deadline together", "[threads]") {
  for (const auto* name : {"a", "b", "c", "d", "e"}) add_hung(name);
  auto& good = add_hung("good");
  good.tell('a');
  start();
  const auto scrape = tick();  // which has one deadline, tests/collectors/mount_stat_test.cpp
  for (const auto& mount : hung) {
    if (mount.get() != &good) check_stuck(scrape, mount->point());
  }
  check_good(scrape, good.point());
  check_good(scrape, folder);

  tick();
  for (const auto& mount : hung) mount->tell('a');
  for (const auto& mount : hung) CHECK(recovers(mount->point()));
  for (const auto& mount : hung) CHECK(mount->tell('n') > 1);
}

TEST_CASE_METHOD(Fixture, "the agent ends at once while a mount is stuck", "[threads]") {
  auto& mount = add_hung("nfs");
  start();
  check_stuck(tick(), mount.point());
  source.reset();  // the call never returns: whoever waits for it hangs here
}

TEST_CASE_METHOD(Fixture, "a dead server that is unmounted and mounted anew is reported at once",
                 "[threads]") {
  auto& dead = add_hung("nfs");
  start();
  check_stuck(tick(), dead.point());
  REQUIRE(::umount2(dead.point().c_str(), MNT_DETACH) == 0);
  auto& alive = add_hung("nfs");
  alive.tell('a');
  check_good(tick(), alive.point());
}

TEST_CASE_METHOD(Fixture, "the others are read at the scrape's timestamp while a mount hangs",
                 "[threads]") {
  auto& mount = add_hung("nfs");
  const auto set_load = [&](int load) {
    std::ofstream(folder / "proc/loadavg", std::ios::trunc) << load << " 0 0 1/80 11206\n";
  };
  start({"filesystem", "loadavg"});
  for (int tick = 1; tick <= 2; ++tick) {
    INFO("tick " << tick << ", in which the mount " << (tick == 1 ? "begins to hang" : "hangs"));
    set_load(tick);
    const auto before_ms = wall_ns() / kNsPerMs;
    source->begin({++number, wall_ns()});
    const auto after_ms = wall_ns() / kNsPerMs;
    set_load(100);  // too late for this tick
    while (const auto wait_ns = source->wait_ns()) wakeup->wait(wait_ns);
    const auto scrape = source->finish({number, 0});
    CHECK(value(scrape, "node_load1", "") == tick);
    CHECK(scrape.timestamp_ms >= before_ms);
    CHECK(scrape.timestamp_ms <= after_ms);
    check_stuck(scrape, mount.point());
    check_good(scrape, folder);
  }
}

TEST_CASE_METHOD(Fixture, "a tick that is ended while a mount hangs keeps what the others read",
                 "[threads]") {
  auto& mount = add_hung("nfs");
  fs::create_symlink("/proc/loadavg", folder / "proc/loadavg");
  start({"filesystem", "loadavg"});
  source->begin({++number, wall_ns()});
  const auto scrape = source->finish({number, 0});  // as at a stop
  CHECK(value(scrape, "node_load1", "") >= 0);
  CHECK(value(scrape, "node_filesystem_device_error", mount.point(), "mountpoint timeout") == -1);
  CHECK(source->outcomes()[0].error == "the tick was ended before all mounts had answered");
}

}  // namespace msp
