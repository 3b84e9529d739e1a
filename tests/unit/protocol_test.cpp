#include "agent/delivery/protocol.h"

#include <catch2/catch.hpp>
#include <string_view>

namespace msp {

constexpr auto kDay = delivery::ProtocolChoice::kFallBackNs;

TEST_CASE("a configured protocol has no second choice") {
  for (const auto& [protocol, wire] :
       {std::pair{config::Protocol::victoriametrics, delivery::Wire::victoriametrics},
        std::pair{config::Protocol::prometheus_1_0, delivery::Wire::prometheus_1_0}}) {
    delivery::ProtocolChoice dialect(protocol);
    CHECK(dialect.wire(0) == wire);
    CHECK_FALSE(dialect.other_than(wire));
    CHECK_FALSE(dialect.accepted(wire, 0));
    CHECK(dialect.in_use() == wire);
  }
}

TEST_CASE("auto begins with zstd and falls back to snappy for a day, once that was accepted") {
  delivery::ProtocolChoice dialect(config::Protocol::automatic);
  CHECK(dialect.wire(0) == delivery::Wire::victoriametrics);
  REQUIRE(dialect.other_than(delivery::Wire::victoriametrics) == delivery::Wire::prometheus_1_0);
  CHECK_FALSE(dialect.other_than(delivery::Wire::prometheus_1_0));
  CHECK(dialect.wire(1) == delivery::Wire::victoriametrics);  // nothing accepted yet

  CHECK(dialect.accepted(delivery::Wire::prometheus_1_0, 10));
  CHECK(dialect.wire(10) == delivery::Wire::prometheus_1_0);
  CHECK_FALSE(dialect.accepted(delivery::Wire::prometheus_1_0, 20));  // told once
  CHECK(dialect.wire(9 + kDay) == delivery::Wire::prometheus_1_0);  // 20 did not begin another day
  CHECK(dialect.wire(10 + kDay) == delivery::Wire::victoriametrics);
}

TEST_CASE("after a day the first choice is tried again, for good or for another day") {
  delivery::ProtocolChoice dialect(config::Protocol::automatic);
  dialect.accepted(delivery::Wire::prometheus_1_0, 0);
  SECTION("it is still not understood") {
    CHECK_FALSE(dialect.accepted(delivery::Wire::prometheus_1_0, kDay));
    CHECK(dialect.wire(2 * kDay - 1) == delivery::Wire::prometheus_1_0);
    CHECK(dialect.wire(2 * kDay) == delivery::Wire::victoriametrics);
  }
  SECTION("it is understood now") {
    CHECK(dialect.accepted(delivery::Wire::victoriametrics, kDay));
    CHECK(dialect.in_use() == delivery::Wire::victoriametrics);
    CHECK(dialect.wire(kDay + 1) == delivery::Wire::victoriametrics);
  }
}

TEST_CASE("2.0 falls back to 1.0") {
  delivery::ProtocolChoice dialect(config::Protocol::prometheus_2_0);
  CHECK(dialect.wire(0) == delivery::Wire::prometheus_2_0);
  CHECK(dialect.other_than(delivery::Wire::prometheus_2_0) == delivery::Wire::prometheus_1_0);
  CHECK(dialect.accepted(delivery::Wire::prometheus_1_0, 0));
  CHECK(dialect.in_use() == delivery::Wire::prometheus_1_0);
}

TEST_CASE("a protocol is called what the configuration calls it") {
  CHECK(std::string_view(delivery::wire_name(delivery::Wire::prometheus_1_0)) == "prometheus-1.0");
  CHECK(std::string_view(delivery::wire_name(delivery::Wire::prometheus_2_0)) == "prometheus-2.0");
  CHECK(std::string_view(delivery::wire_name(delivery::Wire::victoriametrics)) ==
        "victoriametrics");
}

}  // namespace msp
