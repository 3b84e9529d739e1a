#include "agent/metrics/exposition.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/support/scrapes.h"

namespace msp {

TEST_CASE("a series of which only the labels are known has neither HELP nor TYPE") {
  const auto scrape = test::scrape(1, test::series_set({"node_b", "node_a"}), {1, 2.5});
  CHECK(text_format(scrape) ==
        "node_a{customer_id=\"alpha\"} 2.5\nnode_b{customer_id=\"alpha\"} 1\n");
}

}  // namespace msp
