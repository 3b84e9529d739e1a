#include "agent/delivery/sender.h"

#include <catch2/catch.hpp>

#include <functional>
#include <thread>
#include <utility>

#include "agent/base/clock.h"
#include "tests/support/buffer_fixture.h"
#include "tests/support/scripted_server.h"

namespace msp {
namespace {

using namespace test;
using namespace std::chrono_literals;

/// Something happens when a segment is opened to be read.
struct EventfulFiles : MemoryFileSystem {
  std::function<void()> on_read;
  Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) override {
    if (mode == Mode::read && path.ends_with(".seg")) std::exchange(on_read, [] {})();
    return MemoryFileSystem::open(path, mode);
  }
};

}  // namespace

TEST_CASE("sender: a scrape that comes while the backlog is read goes once", "[threads]") {
  init_http();
  EventfulFiles files;
  files.on_read = [] {};
  const auto buffer = test::open(options(files));
  for (const int t : {1, 2, 3}) buffer->append(scrape(t, kSet, {1, 2}));
  buffer->disk_round(kNow);

  const ScriptedServer server;
  EndpointConfig config;
  config.url = server.url();
  config.protocol = Protocol::victoriametrics;
  EndpointStats stats("a");
  Sender sender(config, 0, *buffer, stats);
  files.on_read = [&] {
    buffer->append(scrape(4, kSet, {1, 2}));
    sender.stop_at(monotonic_ns() + std::chrono::nanoseconds(10s).count());
    buffer->stop();
  };
  std::thread([&] { sender.run(); }).join();
  CHECK(buffer->state(0).samples == 0);
  CHECK(stats.samples_sent == 8);
}

TEST_CASE("the back-off doubles from a second to a minute, with full jitter", "[threads]") {
  CHECK(backoff(1, 0.0) == 0s);
  CHECK(backoff(1, 0.5) == 500ms);
  CHECK(backoff(2, 0.5) == 1s);
  CHECK(backoff(6, 0.5) == 16s);
  CHECK(backoff(7, 0.5) == 30s);
  CHECK(backoff(1'000'000, 0.5) == 30s);
}

TEST_CASE("what an operator must correct is tried about once a minute", "[threads]") {
  CHECK(hold_time(0.0) == 45s);
  CHECK(hold_time(0.5) == 60s);
}

}  // namespace msp
