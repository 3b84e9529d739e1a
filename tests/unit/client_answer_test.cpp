// What RemoteWriteClient makes of more than the status of an answer: client_test.cpp has the rest.
#include <catch2/catch.hpp>
#include <deque>
#include <string>

#include "agent/delivery/client.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

constexpr std::size_t kSamples = 10;

/// Ten samples, sent to an endpoint that gives `answers`, one after the other.
struct AnsweredFixture {
  std::deque<http::HttpAnswer> answers;
  delivery::EndpointStats stats{"http://h/w"};
  delivery::Splitter shipment;

  AnsweredFixture() {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < kSamples; ++i) names.push_back("m" + std::to_string(i));
    shipment.batch().add(1, std::make_shared<const metrics::Scrape>(test::scrape(
                                1, test::series_set(names), std::vector<double>(kSamples, 1))));
    shipment.start();
  }

  delivery::RemoteWriteClient::Report send(config::Protocol protocol) {
    delivery::RemoteWriteClient client(
        protocol,
        [this](std::string_view, const std::vector<std::string>&) {
          REQUIRE_FALSE(answers.empty());
          auto answer = answers.front();
          answers.pop_front();
          return answer;
        },
        stats);
    return client.send_next(shipment);
  }
};

/// As a receiver of remote write 2.0 that counts what it stores.
http::HttpAnswer written(std::uint64_t samples) {
  http::HttpAnswer answer;
  answer.status = 204;
  answer.headers.emplace_back("X-Prometheus-Remote-Write-Samples-Written", std::to_string(samples));
  return answer;
}

http::HttpAnswer status(int code) {
  http::HttpAnswer answer;
  answer.status = code;
  return answer;
}

}  // namespace

TEST_CASE_METHOD(AnsweredFixture, "2.0 that says it stored nothing is sent again as 1.0") {
  answers = {written(0), status(204)};
  const auto report = send(config::Protocol::prometheus_2_0);
  CHECK(answers.empty());
  CHECK(report.delivered == kSamples);
  CHECK(stats.samples_sent == kSamples);
  CHECK(stats.samples_rejected == 0);
  CHECK(std::string(stats.protocol) == "prometheus-1.0");
}

TEST_CASE_METHOD(AnsweredFixture,
                 "2.0 that says it stored nothing, and takes no 1.0, has nothing") {
  answers = {written(0), status(503)};
  const auto report = send(config::Protocol::prometheus_2_0);
  CHECK(report.delivered == 0);
  CHECK_FALSE(shipment.done());
  CHECK(stats.samples_sent == 0);
}

TEST_CASE_METHOD(AnsweredFixture, "2.0 that says it stored a part: the rest is counted as lost") {
  const auto [said, sent] =
      GENERATE(table<std::uint64_t, std::uint64_t>({{7, 7}, {10, 10}, {UINT64_MAX, 10}}));
  answers = {written(said)};
  const auto report = send(config::Protocol::prometheus_2_0);
  CHECK(report.delivered == sent);
  CHECK(shipment.done());
  CHECK(stats.samples_sent == sent);
  CHECK(stats.samples_rejected == kSamples - sent);
  CHECK(std::string(stats.protocol) == "prometheus-2.0");
}

TEST_CASE_METHOD(AnsweredFixture, "in 1.0 that number means nothing") {
  answers = {written(0)};
  CHECK(send(config::Protocol::prometheus_1_0).delivered == kSamples);
}

TEST_CASE("where a redirect leads is a part of the problem") {
  auto answer = status(302);
  answer.words = "Found";
  answer.moved_to = "https://other/write";
  CHECK(delivery::problem_text(answer) == "HTTP 302, a redirect to https://other/write");
  answer = status(404);
  answer.words = "404 no such page";
  CHECK(delivery::problem_text(answer) == "HTTP 404: no such page");
  answer.moved_to = "https://other/write";
  CHECK(delivery::problem_text(answer) ==
        "HTTP 404 after a redirect to https://other/write: no such page");
}

}  // namespace msp
