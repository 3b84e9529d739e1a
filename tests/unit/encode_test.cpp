#include "agent/remote_write/encode.h"

#include <snappy.h>

#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "remote_write.pb.h"
#include "tests/support/scrapes.h"

namespace msp {
namespace {

prometheus::WriteRequest decode(std::string_view body) {
  std::string message;
  REQUIRE(snappy::Uncompress(body.data(), body.size(), &message));
  prometheus::WriteRequest request;
  REQUIRE(request.ParseFromString(message));
  REQUIRE(request.SerializeAsString() == message);  // nothing that the schema does not know
  return request;
}

}  // namespace

TEST_CASE("a batch reads back as the write request of the specification") {
  const auto set = test::series_set({"a", std::string(300, 'b')});
  Batch batch;
  batch.add(0, std::make_shared<const Scrape>(test::scrape(1'700'000'000'000, set, {1.5, -0.0})));
  batch.add(
      1, std::make_shared<const Scrape>(test::scrape(
             1'700'000'015'000, set, {stale_marker(), std::numeric_limits<double>::infinity()})));
  Encoder encoder;
  const auto request = decode(encoder.encode(batch));

  REQUIRE(request.timeseries_size() == 2);
  const auto& first = request.timeseries(0);
  REQUIRE(first.labels_size() == 2);
  CHECK(first.labels(0).name() == "__name__");
  CHECK(first.labels(0).value() == "a");
  CHECK(first.labels(1).name() == "customer_id");
  CHECK(first.labels(1).value() == "alpha");
  REQUIRE(first.samples_size() == 2);
  CHECK(first.samples(0).timestamp() == 1'700'000'000'000);
  CHECK(first.samples(0).value() == 1.5);
  CHECK(std::bit_cast<std::uint64_t>(first.samples(1).value()) == kStaleNanBits);
  const auto& second = request.timeseries(1);
  CHECK(second.labels(0).value() == std::string(300, 'b'));
  CHECK(std::signbit(second.samples(0).value()));
  CHECK(std::isinf(second.samples(1).value()));
}

TEST_CASE("an encoder's later requests hold nothing of its earlier ones") {
  Encoder encoder;
  Batch batch;
  batch.add(0, std::make_shared<const Scrape>(
                   test::scrape(1, test::series_set({"a", "b", "c"}), {1, 2, 3})));
  encoder.encode(batch);
  batch.clear();
  batch.add(1, std::make_shared<const Scrape>(test::scrape(-1, test::series_set({"d"}), {4})));
  const auto request = decode(encoder.encode(batch));
  REQUIRE(request.timeseries_size() == 1);
  CHECK(request.timeseries(0).labels(0).value() == "d");
  CHECK(request.timeseries(0).samples(0).timestamp() == -1);
}

}  // namespace msp
