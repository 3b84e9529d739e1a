#include "agent/cli/status_text.h"

#include <catch2/catch.hpp>
#include <string>

#include "agent/base/text.h"
#include "agent/run/status_file.h"

namespace msp {
namespace {

constexpr double kNow = 1'700'000'100;

std::string endpoint(std::string_view state, std::string_view more) {
  return cat(R"({"name": "https://c/w", "state": ")", state,
             R"(", "summary": "cannot reach https://c/w: no route; 7 samples kept",)",
             R"( "last_success": 1700000095, "lag_seconds": 0, "backlog_samples": 0,)",
             R"( "drained_in_seconds": null, "dropped_lately_samples": 0, "requests": 9,)",
             R"( "retries": 1, "protocol": "prometheus-1.0", "last_error": "")", more, "}");
}

cli::StatusText text_for(std::string_view endpoints, std::string_view buffer = "",
                         std::string_view collectors = "",
                         cli::SeenStatus::Life life = cli::SeenStatus::Life::running) {
  auto seen = cli::read_status(
      cat(R"({"pid": 12, "started": 1700000000, "updated": 1700000099, "interval_seconds": 15,)",
          R"("update_seconds": 15, "endpoints": [)", endpoints,
          R"(], "buffer": {"path": "/b", "holds_outage_seconds": 7200)", buffer,
          R"(}, "collectors": [)", collectors, R"(], "process": {"cpu_seconds": 2.5}})"),
      "/run/status.json");
  REQUIRE(seen.root);
  seen.life = life;
  return cli::status_text(seen, kNow, "");
}

TEST_CASE("a clock that is off is told") {
  const auto text =
      text_for(endpoint("delivering", R"(, "clock_problem": "this host's clock is 1 d ahead")"));
  CHECK_FALSE(text.is_well);
  CHECK(text.headline == "https://c/w: this host's clock is 1 d ahead\n");
}

TEST_CASE("the verdict on an agent that is well") {
  const auto text = text_for(endpoint("delivering", ""));
  CHECK(text.is_well);
  CHECK(text.headline == "all is well\n");
  CHECK(text.tables.find("delivering  5 s ago") != std::string::npos);
  CHECK(text.tables.find("about 2 h") != std::string::npos);
}

TEST_CASE("the sources of the host are no targets") {
  const auto tables_with = [](std::string_view more) {
    return text_for("", "",
                    cat(R"(], "sources": [{"name": "host", "up": true}, )",
                        R"({"name": "host_costly", "up": true})", more))
        .tables;
  };
  CHECK(tables_with("").find("Targets") == std::string::npos);
  const auto tables = tables_with(R"(, {"name": "mysqld/127.0.0.1:9104", "up": true})");
  CHECK(tables.find("mysqld/127.0.0.1:9104") != std::string::npos);
  CHECK(tables.find("host_costly") == std::string::npos);
}

TEST_CASE("a backlog that gets less is well, one that does not is not") {
  const auto less = text_for(
      R"({"name": "u", "state": "delivering", "lag_seconds": 3600, "drained_in_seconds": 60})");
  CHECK(less.headline == "all is well: a backlog is being delivered, for about 1 m 0 s more\n");
  const auto stuck = text_for(
      R"({"name": "u", "state": "delivering", "lag_seconds": 3600, "drained_in_seconds": null})");
  CHECK_FALSE(stuck.is_well);
  CHECK(stuck.headline.starts_with("u takes samples, but the backlog of "));
}

TEST_CASE("what is wrong comes first, with what to do") {
  const auto down = text_for(endpoint("retrying", ""));
  CHECK_FALSE(down.is_well);
  CHECK(down.headline ==
        "cannot reach https://c/w: no route; 7 samples kept\n"
        "  The agent tries again by itself; the buffer has room for about 2 h 0 m. Look at the "
        "network, the "
        "proxy and the centre.\n");
  const auto refused = text_for(endpoint("misconfigured", ""));
  CHECK(refused.headline.find("It needs a correction") != std::string::npos);
  const auto disk = text_for(endpoint("delivering", ""), R"(, "memory_only": true)");
  CHECK(disk.headline.starts_with("the disk of /b cannot be used"));
  const auto collector =
      text_for(endpoint("delivering", ""), "",
               R"({"name": "netdev", "has_data": true, "last_error": "/proc/net/dev: odd"})");
  CHECK(collector.headline == "the collector netdev fails: /proc/net/dev: odd\n");
  const auto no_data =
      text_for(endpoint("delivering", ""), "",
               R"({"name": "netdev", "has_data": false, "last_error": "/proc/net/dev: none"})");
  CHECK(no_data.is_well);
}

TEST_CASE("an endpoint that refuses what it gets, or may be no receiver, is not well") {
  const auto refusing = text_for(endpoint("refusing", ""));
  CHECK_FALSE(refusing.is_well);
  CHECK(refusing.headline.find("Look at the limits of the centre") != std::string::npos);
  const auto page = text_for(endpoint("delivering", R"(, "answer_problem": "it is a page")"));
  CHECK_FALSE(page.is_well);
  CHECK(page.headline == "https://c/w: it is a page\n");
}

TEST_CASE("an endpoint that has not answered yet is a start, and after a minute a problem") {
  CHECK(text_for(endpoint("starting", "")).headline.starts_with("no answer yet from https://c/w"));
}

TEST_CASE("of an agent that is gone the tables are shown as they were") {
  const auto text = text_for(endpoint("delivering", ""), "", "", cli::SeenStatus::Life::gone);
  CHECK_FALSE(text.is_well);
  CHECK(text.headline.starts_with(
      "msp-agent is not running: process 12 is gone; its last status is of "));
  CHECK(text.tables.find("https://c/w") != std::string::npos);
}

TEST_CASE("a file of another version is no reason to fail") {
  CHECK_FALSE(text_for("{}, 5, null").tables.empty());
}

constexpr std::int64_t kSecond = 1'000'000'000;

TEST_CASE("when a backlog will be drained is known from how it got less") {
  run::Trend trend;
  trend.add(0, 1000, 0);
  CHECK_FALSE(trend.seconds_to_drain());
  trend.add(10 * kSecond, 2000, 0);
  CHECK_FALSE(trend.seconds_to_drain());
  trend.add(20 * kSecond, 1500, 0);
  trend.add(30 * kSecond, 1000, 0);
  REQUIRE(trend.seconds_to_drain());
  CHECK(*trend.seconds_to_drain() == Approx(20));
  trend.add(40 * kSecond, 0, 0);
  CHECK_FALSE(trend.seconds_to_drain());
}

TEST_CASE("losses count for about a minute") {
  run::Trend trend;
  trend.add(0, 0, 0);
  trend.add(15 * kSecond, 0, 5);
  CHECK(trend.lost_lately() == 5);
  trend.add(80 * kSecond, 0, 5);
  trend.add(100 * kSecond, 0, 5);
  CHECK(trend.lost_lately() == 0);
}

}  // namespace
}  // namespace msp
