#include "agent/run/metrics_page.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "agent/base/text.h"
#include "tests/support/fake_clock.h"

namespace msp {
namespace {

/// A uname(2) that does not return until it may.
struct Hung {
  std::mutex mutex;
  std::condition_variable changed;
  bool hangs = false;
  int calls = 0;

  static Hung& only() {
    static Hung hung;
    return hung;
  }
  static int uname(struct utsname* out) {
    auto& hung = only();
    std::unique_lock lock(hung.mutex);
    ++hung.calls;
    hung.changed.notify_all();
    hung.changed.wait(lock, [&] { return !hung.hangs; });
    return ::uname(out);
  }
  void set(bool value) {
    const std::lock_guard lock(mutex);
    hangs = value;
    changed.notify_all();
  }
  int count() {
    const std::lock_guard lock(mutex);
    return calls;
  }
};

struct World {
  World()
      : wakeup(std::make_shared<const Wakeup>()),
        page(
            {.collectors = {"loadavg", "uname"}, .wakeup = wakeup, .host = {.uname = Hung::uname}}),
        server({.address = {listen::ListenAddress::Family::unix_socket,
                            cat("/tmp/msp-agent-page-", ::getpid()), 0},
                .wakeup = wakeup,
                .clock = &clock},
               page) {
    REQUIRE(server.listen());
  }

  Fd ask(std::string_view path, std::string_view fields = "") {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    const auto name = cat("/tmp/msp-agent-page-", ::getpid());
    std::memcpy(un.sun_path, name.data(), name.size());
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&un), sizeof un) == 0);
    const auto request = cat("GET ", path, " HTTP/1.0\r\n", fields, "\r\n");
    REQUIRE(::send(fd.get(), request.data(), request.size(), 0) ==
            static_cast<ssize_t>(request.size()));
    for (int i = 0; i < 4; ++i) server.step(clock.monotonic_ns());
    return fd;
  }

  /// The whole answer; the server works meanwhile. Empty where none comes.
  std::string answer(const Fd& fd, int rounds = 24'000) {
    std::string all;
    char bytes[65536];
    for (int i = 0; i < rounds; ++i) {
      const auto got = ::recv(fd.get(), bytes, sizeof bytes, 0);
      if (got == 0) return all;
      if (got > 0) all.append(bytes, static_cast<std::size_t>(got));
      server.step(clock.monotonic_ns() + 5 * kNsPerMs);  // waits that long for the reading thread
    }
    return all;
  }

  test::FakeClock clock;
  std::shared_ptr<const Wakeup> wakeup;
  run::MetricsPage page;
  listen::Server server;
};

}  // namespace

TEST_CASE("/metrics: those who ask at once, or within a second, get one page", "[threads]") {
  Hung::only().set(true);
  World world;
  const auto before = Hung::only().count();
  const auto first = world.ask("/metrics");
  const auto second = world.ask("/metrics", "Accept-Encoding: gzip\r\n");
  Hung::only().set(false);
  CHECK(world.answer(first).find("node_uname_info{") != std::string::npos);
  CHECK(world.answer(second).find("200 OK") != std::string::npos);
  CHECK(world.answer(world.ask("/metrics")).find("node_load1 ") != std::string::npos);
  CHECK(Hung::only().count() == before + 1);
  world.clock.advance(kNsPerSecond);
  CHECK(world.answer(world.ask("/metrics")).find("node_load1 ") != std::string::npos);
  CHECK(Hung::only().count() == before + 2);
}

TEST_CASE("/metrics: a host that hangs ends a scrape in time, and no other choice waits for it",
          "[threads]") {
  Hung::only().set(true);
  World world;
  const auto hung = world.ask("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 3\r\n");
  CHECK(world.answer(hung, 3).empty());
  CHECK(world.answer(world.ask("/metrics?collect[]=loadavg")).find("node_load1 ") !=
        std::string::npos);
  CHECK(world.answer(world.ask("/")).find("href=\"/metrics\"") != std::string::npos);
  world.clock.advance(2'600 * kNsPerMs);
  const auto answer = world.answer(hung);
  CHECK(answer.starts_with("HTTP/1.1 503 "));
  CHECK(answer.find("Retry-After: ") != std::string::npos);
  Hung::only().set(false);
  // Nor is a page that was begun so long ago served.
  world.clock.advance(100 * kNsPerSecond);
  CHECK(world.answer(world.ask("/metrics")).find("node_uname_info{") != std::string::npos);
}

}  // namespace msp
