#include "agent/run/service.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {
namespace {

constexpr std::int64_t kSecond = kNsPerSecond;
constexpr std::int64_t kNow = 1000 * kSecond;  // on a clock that does not jump
constexpr std::int64_t kNowMs = 1'700'000'000'000;
const std::string kUrl = "https://monitor.example.com/api/v1/write";

run::EndpointReport endpoint(std::size_t waiting) {
  return {.name = kUrl,
          .waiting = waiting,
          .state = delivery::EndpointState::delivering,
          .timeout_ns = 10 * kSecond};
}

/// A service and the manager that it talks to, at an abstract name of this process.
class Fixture {
 public:
  explicit Fixture(std::int64_t watchdog_ns)
      : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
        address_(cat("@msp-agent-service-test-", ::getpid())) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path + 1, address_.data() + 1, address_.size() - 1);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&at), size) == 0);
    service.emplace(run::Notify(address_, watchdog_ns));
  }

  std::string told() {
    char text[4096];
    const auto size = ::recv(socket_.get(), text, sizeof text, MSG_DONTWAIT);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
  }

  std::optional<run::Service> service;

 private:
  Fd socket_;
  std::string address_;
};

}  // namespace

TEST_CASE("a status says what is delivered where, and why not") {
  run::ServiceReport report;
  report.endpoints = {endpoint(0)};
  CHECK(report.status(kNowMs) == "delivering to " + kUrl + ", 0 behind");

  report.endpoints = {{.name = kUrl, .waiting = 900}};
  CHECK(report.status(kNowMs) == "connecting to " + kUrl + ", 900 behind");

  report.endpoints = {endpoint(3420)};
  report.endpoints[0].state = delivery::EndpointState::retrying;
  report.endpoints[0].error = "Connection refused";
  CHECK(report.status(kNowMs) ==
        "cannot reach " + kUrl + ": Connection refused; 3,420 samples kept");
  report.endpoints[0].last_success_ms = kNowMs - 720'000;
  CHECK(report.status(kNowMs) ==
        "cannot reach " + kUrl + " for 12 m 0 s: Connection refused; 3,420 samples kept");
  report.endpoints[0].error = "HTTP 401: who are you?";
  report.endpoints[0].state = delivery::EndpointState::misconfigured;
  CHECK(report.status(kNowMs).starts_with("cannot deliver to " + kUrl + " for 12 m 0 s: HTTP 401"));
  report.endpoints[0].last_success_ms = kNowMs + 1;  // the clock was set back
  CHECK(report.status(kNowMs).starts_with("cannot deliver to " + kUrl + ": HTTP 401"));

  report.endpoints[0].state = delivery::EndpointState::refusing;
  report.endpoints[0].error = "HTTP 409: conflict";
  CHECK(report.status(kNowMs) ==
        kUrl + " refuses what it gets: HTTP 409: conflict; it is dropped, 3,420 behind");
  report.endpoints[0].state = delivery::EndpointState::misconfigured;

  report.endpoints.push_back(
      {.name = "http://second", .waiting = 7, .state = delivery::EndpointState::delivering});
  report.memory_only = true;
  CHECK(report.status(kNowMs).ends_with(
      "kept | delivering to http://second, 7 behind | the buffer's disk cannot be used: samples "
      "are kept in memory only"));
}

TEST_CASE("only a request that outlasts its time-out by far is stuck") {
  run::ServiceReport report;
  report.endpoints = {endpoint(5)};
  CHECK(report.stuck(kNow).empty());
  report.endpoints[0].request_since_ns = kNow - 69 * kSecond;
  CHECK(report.stuck(kNow).empty());
  report.endpoints[0].request_since_ns = kNow - 71 * kSecond;
  CHECK(report.stuck(kNow) ==
        "a request to " + kUrl + " has not ended for 1 m 11 s; its timeout is 10 s");
  // An endpoint that is away, and a disk that hangs, are nothing that a restart fixes.
  report.endpoints = {endpoint(5'000'000)};
  report.endpoints[0].state = delivery::EndpointState::retrying;
  report.memory_only = true;
  CHECK(report.stuck(kNow).empty());
}

TEST_CASE("the manager hears of the start at the first tick, and then of news") {
  Fixture manager(120 * kSecond);
  auto& service = *manager.service;
  CHECK(service.due_ns() == INT64_MAX);
  service.ticked(kNow);
  CHECK(service.due_ns() == kNow);
  run::ServiceReport report;
  report.endpoints = {{.name = "http://x", .waiting = 9}};
  service.report(kNow, report);
  CHECK(manager.told() == "READY=1\nWATCHDOG=1\nSTATUS=connecting to http://x, 9 behind\n");
  CHECK(service.due_ns() == kNow + 30 * kSecond);
  service.changed(kNow + kSecond);
  CHECK(service.due_ns() == kNow + kSecond);
  report.endpoints = {
      {.name = "http://x", .waiting = 0, .state = delivery::EndpointState::delivering}};
  service.report(kNow + kSecond, report);
  CHECK(manager.told() == "WATCHDOG=1\nSTATUS=delivering to http://x, 0 behind\n");
  // Nothing new: only a sign of life, whatever ticks there are.
  service.ticked(kNow + 15 * kSecond);
  CHECK(service.due_ns() == kNow + 31 * kSecond);
  service.report(kNow + 16 * kSecond, report);
  CHECK(manager.told() == "WATCHDOG=1\n");
}

TEST_CASE("a sign of life comes twice in the watchdog's time") {
  Fixture manager(4 * kSecond);
  auto& service = *manager.service;
  service.ticked(kNow);
  service.report(kNow, {});
  CHECK(service.due_ns() == kNow + 2 * kSecond);
}

TEST_CASE("a request that is stuck is no sign of life") {
  Fixture manager(120 * kSecond);
  auto& service = *manager.service;
  service.ticked(kNow);
  run::ServiceReport report;
  report.endpoints = {endpoint(1)};
  service.report(kNow, report);
  manager.told();
  report.endpoints[0].request_since_ns = monotonic_ns() - 600 * kSecond;
  service.report(kNow + kSecond, report);
  CHECK(manager.told().empty());
  report.endpoints[0].request_since_ns = 0;
  service.report(kNow + 2 * kSecond, report);
  CHECK(manager.told() == "WATCHDOG=1\n");
}

TEST_CASE("a reload begins with its time and ends ready, with the status of before") {
  Fixture manager(0);
  auto& service = *manager.service;
  service.ticked(kNow);
  run::ServiceReport report;
  report.endpoints = {endpoint(0)};
  service.report(kNow, report);
  manager.told();
  service.reloading();
  CHECK(manager.told().starts_with("RELOADING=1\nMONOTONIC_USEC="));
  service.reloaded();
  CHECK(manager.told() == "READY=1\n");
  CHECK(service.due_ns() <= kNow);
  service.report(kNow + kSecond, report);
  CHECK(manager.told() == "STATUS=delivering to " + kUrl + ", 0 behind\n");
  service.stopping("sending what is left");
  CHECK(manager.told() == "STOPPING=1\nSTATUS=sending what is left\n");
}

TEST_CASE("without a service manager the main thread is never woken for it") {
  run::Service service(run::Notify("", 0));
  service.ticked(kNow);
  CHECK(service.due_ns() == INT64_MAX);
}

}  // namespace msp
