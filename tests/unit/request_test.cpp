#include "agent/queue/request.h"

#include <catch2/catch.hpp>

#include "agent/queue/bytes.h"
#include "agent/queue/compression.h"
#include "agent/queue/record_scanner.h"
#include "agent/queue/scrape_codec.h"

namespace msp {
namespace {

const auto kStream = std::make_shared<const metrics::Stream>(metrics::Stream{"receiver/alpha"});

std::string frame(const std::string& content) {
  std::string bytes;
  REQUIRE(queue::compress_frame(content, bytes));
  return bytes;
}

queue::RequestPtr request(const std::string& content, std::uint64_t samples, std::int64_t first_ms,
                          std::int64_t last_ms) {
  return std::make_shared<const queue::Request>(
      queue::Request{kStream, samples, first_ms, last_ms, frame(content)});
}

std::string encoded(const queue::Request& request) {
  queue::ScrapeEncoder encoder;
  std::string bytes;
  REQUIRE(encoder.encode(5, 9, request, bytes));
  return bytes;
}

queue::ScrapeDecoder::Outcome feed(const std::string& bytes,
                                   queue::ScrapeDecoder::Decoded& decoded) {
  queue::ScrapeDecoder decoder;
  const auto record = queue::record_at(bytes);
  REQUIRE(record.has_value());
  return decoder.feed(*record, &decoded);
}

/// The record with another payload and a good checksum.
std::string record_of(const std::string& payload) {
  std::string bytes;
  const auto begin = queue::begin_record(bytes);
  bytes += payload;
  queue::end_record(bytes, begin, queue::RecordType::request);
  return bytes;
}

std::string payload_of(std::uint64_t samples, std::uint64_t content_size,
                       const std::string& message) {
  std::string payload;
  for (const std::uint64_t number : {std::uint64_t{5}, std::uint64_t{0}, samples, std::uint64_t{0},
                                     std::uint64_t{0}, content_size, std::uint64_t{0}}) {
    queue::append_varint(payload, number);
  }
  return payload + message;
}

}  // namespace

TEST_CASE("request: requests are joined by concatenation, and say what all of them said") {
  const std::vector<queue::RequestPtr> requests = {
      request("one", 2, 1000, 2000), request("two", 3, -5, 1500), request("three", 1, 1700, 3000)};
  const auto joined = queue::join(requests);
  REQUIRE(joined);
  CHECK(joined->samples == 6);
  CHECK(joined->first_timestamp_ms == -5);
  CHECK(joined->last_timestamp_ms == 3000);
  CHECK(joined->stream == kStream);
  CHECK(joined->message == requests[0]->message + requests[1]->message + requests[2]->message);
  CHECK(*queue::content_of(joined->message, 100) == "onetwothree");
  CHECK(*queue::content_size_of(joined->message) == 11);
}

TEST_CASE("request: what is alike in joined requests is compressed together, where it pays") {
  std::string alike;
  for (int i = 0; i < 500; ++i) alike += "series " + std::to_string(i * 7919 % 1000) + ";";
  const std::vector<queue::RequestPtr> requests = {request(alike, 1, 1, 1),
                                                   request(alike, 1, 2, 2)};
  const auto recompressed = queue::join_recompressed(requests);
  REQUIRE(recompressed);
  CHECK(recompressed->message.size() < requests[0]->message.size() * 3 / 2);
  CHECK(*queue::content_of(recompressed->message, 1 << 20) == alike + alike);
  CHECK((recompressed->samples == 2 && recompressed->last_timestamp_ms == 2));
  // Never larger.
  const std::vector<queue::RequestPtr> one = {request("abc", 1, 1, 1)};
  CHECK(queue::join_recompressed(one)->message == one[0]->message);
}

TEST_CASE("request: what cannot be joined is an error that says why") {
  CHECK_FALSE(queue::join({}));
  auto other = *request("two", 1, 1, 1);
  other.stream = std::make_shared<const metrics::Stream>(metrics::Stream{"receiver/beta"});
  const std::vector<queue::RequestPtr> streams = {request("one", 1, 1, 1),
                                                  std::make_shared<const queue::Request>(other)};
  CHECK_THAT(queue::join(streams).error().text, Catch::Contains("receiver/beta"));
  auto cut = *request("two", 1, 1, 1);
  cut.message.pop_back();
  const std::vector<queue::RequestPtr> damaged = {std::make_shared<const queue::Request>(cut)};
  CHECK_FALSE(queue::join(damaged));
  const std::vector<queue::RequestPtr> large(
      9, request(std::string(queue::kRequestContentMax / 8, 'x'), 1, 1, 1));
  CHECK_THAT(queue::join(large).error().text,
             Catch::Contains(std::to_string(queue::kRequestContentMax)));
}

TEST_CASE("request: a joined request comes back as it was, with its range of sequences") {
  auto original = *request("one", 2, 1000, -2000);
  original.message += frame("") + frame(std::string(100'000, 'x'));
  const auto bytes = encoded(original);
  queue::ScrapeDecoder::Decoded decoded;
  REQUIRE(feed(bytes, decoded) == queue::ScrapeDecoder::Outcome::request);
  CHECK((decoded.first_sequence == 5 && decoded.last_sequence == 9));
  CHECK(decoded.scrape == nullptr);
  CHECK(decoded.request->stream->name == "receiver/alpha");
  CHECK(decoded.request->message == original.message);
  CHECK((decoded.request->first_timestamp_ms == 1000 && decoded.request->samples == 2));
  CHECK(decoded.request->last_timestamp_ms == -2000);
}

TEST_CASE("request: what is no request is not written") {
  queue::ScrapeEncoder encoder;
  std::string out = "before";
  auto bad = *request("one", 1, 1, 1);
  bad.message = "no frame";
  CHECK_FALSE(encoder.encode(1, 1, bad, out));
  bad.message.clear();
  CHECK_FALSE(encoder.encode(1, 1, bad, out));
  CHECK_FALSE(encoder.encode(2, 1, *request("one", 1, 1, 1), out));
  CHECK_FALSE(encoder.encode(1, 1, *request("one", 4, 1, 1), out));  // in 3 bytes
  CHECK(out == "before");
}

TEST_CASE("request: a record that lies about its size is refused before memory is taken for it") {
  const auto honest = frame("one");
  queue::ScrapeDecoder::Decoded decoded;
  CHECK(feed(record_of(payload_of(3, 3, honest)), decoded) ==
        queue::ScrapeDecoder::Outcome::request);
  for (const auto& payload :
       {payload_of(3, 4, honest), payload_of(4, 3, honest), payload_of(3, ~0ull, honest),
        payload_of(3, 3, honest + "x"), payload_of(3, 3, honest.substr(0, honest.size() - 1)),
        payload_of(0, 0, "")}) {
    CHECK(feed(record_of(payload), decoded) == queue::ScrapeDecoder::Outcome::malformed);
  }
}

TEST_CASE("request: a frame that lies about its size cannot take more than was allowed") {
  const std::string content(5000, 'x');
  auto liar = frame(content);
  REQUIRE(*queue::content_size_of(liar) == content.size());
  // A single-segment frame of 256 to 65791 bytes: two bytes of size behind magic and descriptor.
  liar[5] = 0;
  liar[6] = 0;
  REQUIRE(*queue::content_size_of(liar) == 256);
  CHECK_FALSE(queue::content_of(liar, 1 << 20));
  CHECK_FALSE(queue::content_of(frame(content), content.size() - 1));
  CHECK(queue::content_of(frame(content), content.size()));
}

}  // namespace msp
