// Which ports of this host are listened on, of /proc/net/tcp and tcp6, and the block that `init --scrape`
// writes. What asks them is tested with real exporters.
#include "agent/cli/found_exporters.h"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"

namespace msp {
namespace {

constexpr std::string_view kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
    "inode\n";

TEST_CASE("exporters: a port is listened on at the loopback address, at every one, or elsewhere") {
  const auto text = cat(
      kHead,
      "   0: 0100007F:2390 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 1\n",
      "   1: 00000000:23A1 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 2\n",
      "   2: 0500A8C0:23A2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 0 3\n",
      "   3: 0100007F:23A3 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0 0 4\n");
  CHECK(cli::listening_ports(text) == std::vector<cli::ListeningPort>{{9104, false, true},
                                                                      {9121, true, true},
                                                                      {9122, false, false}});
}

TEST_CASE("exporters: tcp6 has '::', mapped addresses of IPv4, and '::1', which 127.0.0.1 is not") {
  const auto line = [](std::string_view address) {
    return cat("   0: ", address, " 00000000000000000000000000000000:0000 0A 00000000:00000000\n");
  };
  const auto text = cat(kHead, line("00000000000000000000000000000000:238C"),
                        line("0000000000000000FFFF00000100007F:238D"),
                        line("00000000000000000000000001000000:238E"));
  CHECK(cli::listening_ports(text) == std::vector<cli::ListeningPort>{{9100, true, true},
                                                                      {9101, false, true},
                                                                      {9102, false, false}});
}

TEST_CASE("exporters: damaged lines are passed over") {
  for (const std::string_view text :
       {"", "\n", "0:", "0: 0100007F", "0: 0100007F:2390", "0: 0100007F:2390 x 0a",
        "0: 0100007F:12390 x 0A", "0: 0100007F:xyz x 0A", "0: 01:2390 x 0A", "0: :2390 x 0A"}) {
    INFO(text);
    CHECK(cli::listening_ports(text).empty());
  }
}

TEST_CASE("exporters: the block loads, and node_exporter is not in it") {
  const auto block =
      cli::scrape_block({{"node", 9100, true, true}, {"mysqld", 9104}, {"redis", 9121}});
  const auto outcome =
      config::parse_config(cat("customer_id: a\nremote_write: {url: 'http://h/w'}\n", block), "f");
  CHECK(outcome.errors.empty());
  REQUIRE(outcome.config.scrape.size() == 2);
  CHECK(outcome.config.scrape[0].job == "mysqld");
  CHECK(outcome.config.scrape[1].targets == std::vector<std::string>{"127.0.0.1:9121"});
  CHECK(cli::scrape_block({{"node", 9100, true, true}}).empty());
}

}  // namespace
}  // namespace msp
