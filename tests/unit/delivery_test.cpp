#include "agent/delivery/delivery.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agent/queue/spiller.h"
#include "tests/support/memory_file_system.h"
#include "tests/support/scrapes.h"
#include "tests/support/without_threads.h"

namespace msp {
namespace {

using namespace std::chrono_literals;
using test::MemoryFileSystem;

constexpr std::int64_t kLong = 60 * kNsPerSecond;
const auto kSet = test::series_set({"a", "b"});

config::EndpointConfig endpoint(const std::string& url) {
  config::EndpointConfig config;
  config.url = url;
  config.protocol = config::Protocol::victoriametrics;
  return config;
}

config::Config config_of(std::vector<config::EndpointConfig> endpoints) {
  config::Config config;
  config.customer_id = "alpha";
  config.interval = 15s;
  config.endpoints = std::move(endpoints);
  return config;
}

/// What the endpoints got, which they count by requests: each scrape is one.
struct Centre {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, int> requests;     // by URL
  std::map<std::string, int> connections;  // made so far
  int connected = 0;                       // there are now
  std::map<std::string, int> status;       // what it answers; 204 where there is none
  bool throws = false;

  delivery::RemoteWriteClient::Post connect(const config::EndpointConfig& config) {
    const std::lock_guard lock(mutex);
    ++connections[config.url];
    ++connected;
    const std::shared_ptr<Centre> connection(this, [](Centre* centre) {
      const std::lock_guard inner(centre->mutex);
      --centre->connected;
      centre->changed.notify_all();
    });
    return [this, connection, url = config.url](std::string_view, const std::vector<std::string>&) {
      const std::lock_guard inner(mutex);
      ++requests[url];
      changed.notify_all();
      if (throws) throw std::runtime_error("out of luck");
      http::HttpAnswer answer;
      const auto found = status.find(url);
      answer.status = found == status.end() ? 204 : found->second;
      return answer;
    };
  }
  bool wait_for(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 60s, condition);
  }
  /// From then on no sender uses anything.
  bool wait_until_none_is_connected() {
    return wait_for([&] { return connected == 0; });
  }
  bool wait_requests(const std::string& url, int count) {
    return wait_for([&, count] { return requests[url] >= count; });
  }
  int connections_of(const std::string& url) {
    const std::lock_guard lock(mutex);
    return connections[url];
  }
};

/// Opening a segment to read it hangs while the gate is shut.
class HangingFiles : public queue::FileSystem {
 public:
  MemoryFileSystem files;

  void shut() {
    const std::lock_guard lock(mutex_);
    is_shut_ = true;
  }
  void open() {
    const std::lock_guard lock(mutex_);
    is_shut_ = false;
    changed_.notify_all();
  }
  void wait_until_one_hangs() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return hanging_ > 0; });
  }

  Result<std::shared_ptr<queue::Folder>> open_folder(const std::string& path) override {
    auto folder = files.open_folder(path);
    if (!folder) return folder.error();
    return std::shared_ptr<queue::Folder>(
        std::make_shared<HangingFolder>(*this, std::move(*folder)));
  }

 private:
  class HangingFolder final : public queue::Folder {
   public:
    HangingFolder(HangingFiles& owner, std::shared_ptr<queue::Folder> folder)
        : owner_(owner), folder_(std::move(folder)) {}
    const std::string& path() const override { return folder_->path(); }
    Result<std::unique_ptr<queue::File>> open(const std::string& name, Mode mode) override {
      if (mode == Mode::read && name.ends_with(".seg")) owner_.pass();
      return folder_->open(name, mode);
    }
    Result<void> rename(const std::string& from, const std::string& to) override {
      return folder_->rename(from, to);
    }
    Result<void> remove(const std::string& name) override { return folder_->remove(name); }
    Result<std::vector<Entry>> list() override { return folder_->list(); }
    Result<void> sync() override { return folder_->sync(); }
    Result<Space> space() override { return folder_->space(); }
    Result<bool> lock() override { return folder_->lock(); }
    Result<bool> is_at_path() const override { return folder_->is_at_path(); }

   private:
    HangingFiles& owner_;
    const std::shared_ptr<queue::Folder> folder_;
  };

  void pass() {
    std::unique_lock lock(mutex_);
    if (!is_shut_) return;
    ++hanging_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !is_shut_; });
    --hanging_;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_shut_ = false;
  int hanging_ = 0;
};

struct World {
  HangingFiles files;
  Centre centre;
  std::unique_ptr<queue::Queue> queue;
  delivery::AgentStats stats;
  std::mutex mutex;
  std::condition_variable failed;
  std::string failure;
  std::unique_ptr<delivery::Delivery> delivery;

  World() {
    auto opened = queue::Queue::open({.folder = "/disk/buffer",
                                      .wal_folder = "/run/buffer",
                                      .limits = {},
                                      .timing = {},
                                      .files = &files});
    REQUIRE(opened);
    queue = std::move(*opened);
    delivery = std::make_unique<delivery::Delivery>(
        delivery::Delivery::Setup{*queue, stats,
                                  [this](const std::string& reason) {
                                    const std::lock_guard lock(mutex);
                                    failure = reason;
                                    failed.notify_all();
                                  },
                                  [this](const config::EndpointConfig& config, const StopToken&) {
                                    return centre.connect(config);
                                  }});
  }
  void append(std::int64_t t) { queue->append(test::scrape(t, kSet, {1, 2})); }
  /// Lets go of endpoints until there are so many.
  bool reap_to(std::size_t count) {
    const auto until_ns = monotonic_ns() + kLong;
    for (; stats.endpoints.size() != count; std::this_thread::yield()) {
      if (monotonic_ns() > until_ns) return false;
      delivery->reap();
    }
    return true;
  }
};

const delivery::EndpointStats& stats_of(const World& world, const std::string& name) {
  const auto& all = world.stats.endpoints;
  const auto found = std::find_if(
      all.begin(), all.end(), [&](const delivery::EndpointStats& one) { return one.name == name; });
  REQUIRE(found != all.end());
  return *found;
}

}  // namespace

TEST_CASE("delivery: endpoints come, change and go while it runs", "[threads]") {
  World world;
  auto a = endpoint("http://a/w");
  const auto b = endpoint("http://b/w");
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  world.append(1);
  REQUIRE(world.centre.wait_requests(a.url, 1));

  // A new one gets what is collected from now on.
  REQUIRE(world.delivery->set_endpoints(config_of({a, b})));
  CHECK(world.centre.connections_of(a.url) == 1);
  world.append(2);
  REQUIRE(world.centre.wait_requests(a.url, 2));
  REQUIRE(world.centre.wait_requests(b.url, 1));

  // One that has changed goes on at its place with another connection.
  a.timeout = 3s;
  REQUIRE(world.delivery->set_endpoints(config_of({a, b})));
  world.append(3);
  REQUIRE(world.centre.wait_requests(a.url, 3));
  REQUIRE(world.centre.wait_requests(b.url, 2));
  CHECK(world.centre.connections_of(a.url) == 2);
  CHECK(world.centre.connections_of(b.url) == 1);

  // One that is gone gets nothing new and ends.
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  CHECK(world.reap_to(1));
  world.append(4);
  REQUIRE(world.centre.wait_requests(a.url, 4));

  // And may come again, as a new one.
  REQUIRE(world.delivery->set_endpoints(config_of({a, b})));
  world.append(5);
  REQUIRE(world.centre.wait_requests(a.url, 5));
  REQUIRE(world.centre.wait_requests(b.url, 3));
  CHECK(world.delivery->stop(monotonic_ns() + kLong));
  CHECK(stats_of(world, "http://a/w").samples_sent == 10);
  CHECK(stats_of(world, "http://b/w").samples_sent == 2);
  CHECK(world.centre.requests[b.url] == 3);
}

TEST_CASE("delivery: what is kept for an endpoint that is gone is delivered", "[threads]") {
  World world;
  auto a = endpoint("http://a/w");
  const auto b = endpoint("http://b/w");
  world.centre.status[b.url] = 503;
  REQUIRE(world.delivery->set_endpoints(config_of({a, b})));
  world.append(1);
  REQUIRE(world.centre.wait_requests(a.url, 1));
  REQUIRE(world.centre.wait_requests(b.url, 1));
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  world.append(2);
  REQUIRE(world.centre.wait_requests(a.url, 2));
  CHECK(stats_of(world, "http://b/w").removed);
  {
    const std::lock_guard lock(world.centre.mutex);
    world.centre.status.clear();
  }
  CHECK(world.reap_to(1));
  CHECK(world.centre.requests[b.url] >= 2);
  CHECK(world.delivery->stop(monotonic_ns() + kLong));
}

TEST_CASE("delivery: a stop sends what waits", "[threads]") {
  World world;
  auto a = endpoint("http://a/w");
  a.send_every = 3600s;
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  world.append(1);
  REQUIRE(world.centre.wait_requests(a.url, 1));
  world.append(2);
  CHECK(world.delivery->stop(monotonic_ns() + kLong));
  CHECK(world.centre.requests[a.url] == 2);
  CHECK(world.queue->state(0).samples == 0);
}

TEST_CASE("delivery: a sender that hangs in the read of a disk does not hold up a stop",
          "[threads]") {
  World world;
  const auto a = endpoint("http://a/w");
  world.queue->add_consumer(delivery::endpoint_identity(config_of({a}), a));
  for (int t = 1; t <= 3; ++t) world.append(t);
  queue::Spiller(*world.queue).round(true);
  world.files.shut();
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  world.append(4);  // live, from memory
  REQUIRE(world.centre.wait_requests(a.url, 1));
  world.files.wait_until_one_hangs();
  CHECK_FALSE(world.delivery->stop(monotonic_ns() + kNsPerSecond / 5));
  world.files.open();
  REQUIRE(world.centre.wait_until_none_is_connected());
}

TEST_CASE("delivery: an exception in a sender is told", "[threads]") {
  World world;
  world.centre.throws = true;
  REQUIRE(world.delivery->set_endpoints(config_of({endpoint("http://a/w")})));
  world.append(1);
  {
    std::unique_lock lock(world.mutex);
    REQUIRE(world.failed.wait_for(lock, 60s, [&] { return !world.failure.empty(); }));
    CHECK(world.failure == "out of luck");
  }
  CHECK(world.delivery->stop(monotonic_ns() + kLong));
}

TEST_CASE("without threads: a new endpoint is refused", "[.alone]") {
  World world;
  const auto a = endpoint("http://a/w");
  const auto b = endpoint("http://b/w");
  const auto c = endpoint("http://c/w");
  REQUIRE(world.delivery->set_endpoints(config_of({a})));
  REQUIRE(test::forbid_threads());
  const auto refused = world.delivery->set_endpoints(config_of({b, c}));
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().text, Catch::Contains("cannot start a thread for http://b/w"));
  REQUIRE(world.stats.endpoints.size() == 1);
  CHECK_FALSE(world.stats.endpoints.front().removed);
  world.append(1);
  CHECK(world.centre.wait_requests(a.url, 1));
  CHECK(world.delivery->stop(monotonic_ns() + kLong));
  CHECK(world.queue->state(0).samples == 0);
  CHECK_FALSE(world.queue->has_waiting(1));
}

TEST_CASE("delivery: where no thread can be started nothing has changed", "[threads]") {
  test::check_alone("without threads: a new endpoint is refused");
}

}  // namespace msp
