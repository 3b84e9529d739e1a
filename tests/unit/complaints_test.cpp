#include "agent/metrics/complaints.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

#include "agent/base/text.h"

namespace msp {
namespace {

using Told = std::vector<std::string>;

Told end_tick(metrics::Complaints& complaints) {
  Told told;
  complaints.end_tick([&](std::string_view text, bool is_over) {
    told.push_back(cat(is_over ? "over: " : "", text));
  });
  return told;
}

TEST_CASE("complaints: what is left out is told once while it lasts, and when it is over") {
  metrics::Complaints complaints;
  const Told wanted{"/proc/x: '(null)' is not a list of CPUs; node_cpu_isolated is left out"};
  complaints.garbled("/proc/x", "(null)", "a list of CPUs", {"node_cpu_isolated"});
  CHECK(end_tick(complaints) == wanted);
  for (const auto* text : {"(null)", "another"}) {  // what is there may change at every tick
    complaints.garbled("/proc/x", text, "a list of CPUs", {"node_cpu_isolated"});
    CHECK(end_tick(complaints).empty());
  }
  CHECK(end_tick(complaints) == Told{"over: /proc/x: nothing is left out any more"});
  CHECK(end_tick(complaints).empty());
  complaints.garbled("/proc/x", "(null)", "a list of CPUs", {"node_cpu_isolated"});
  CHECK(end_tick(complaints) == wanted);
}

TEST_CASE("complaints: one line for a file, however much of it is left out") {
  metrics::Complaints complaints;
  const auto tick = [&](int values) {
    for (int i = 0; i < values; ++i) complaints.garbled("/f", "x", "a count", {"m", {"sd", "a"}});
    return end_tick(complaints);
  };
  CHECK(tick(3) == Told{"/f: 'x' is not a count; m of sda is left out, and 2 more values"});
  CHECK(tick(3).empty());
  CHECK(tick(1).empty());
  CHECK(tick(3).empty());
  CHECK(tick(4) == Told{"/f: 'x' is not a count; m of sda is left out, and 3 more values"});
}

TEST_CASE("complaints: something else that is left out is told, and for another reason") {
  metrics::Complaints complaints;
  complaints.garbled("/f", "x", "a count", {"a"});
  CHECK(end_tick(complaints).size() == 1);
  complaints.garbled("/f", "x", "a count", {"b"});
  CHECK(end_tick(complaints) == Told{"/f: 'x' is not a count; b is left out"});
  complaints.unreadable("/f", failed("cannot read /f: Not a directory"), {"b"});
  CHECK(end_tick(complaints) == Told{"cannot read /f: Not a directory; b is left out"});
  complaints.repeated("/f", "sda");
  CHECK(end_tick(complaints) == Told{"/f: 'sda' is there twice; the second line is left out"});
}

TEST_CASE("complaints: a tick that failed says nothing of what is left out") {
  metrics::Complaints complaints;
  complaints.garbled("/f", "x", "a count", {"a"});
  CHECK(end_tick(complaints).size() == 1);
  complaints.drop_tick();
  complaints.garbled("/f", "x", "a count", {"a"});
  CHECK(end_tick(complaints).empty());
  complaints.garbled("/g", "x", "a count", {"a"});
  complaints.garbled("/f", "x", "a count", {"a"});
  complaints.drop_tick();
  complaints.garbled("/f", "x", "a count", {"a"});
  CHECK(end_tick(complaints).empty());
}

TEST_CASE("complaints: of many files a few are named") {
  metrics::Complaints complaints;
  const auto tick = [&](std::size_t files) {
    for (std::size_t i = 0; i < files; ++i) complaints.garbled(cat("/", i), "x", "y", {"m"});
    return end_tick(complaints);
  };
  const auto told = tick(1'000);
  REQUIRE(told.size() == metrics::Complaints::kFilesMax + 1);
  CHECK(told.back() == "of more files than 8, 992 values are left out");
  CHECK(tick(1'000).empty());
  CHECK(tick(0).size() == metrics::Complaints::kFilesMax + 1);
}

TEST_CASE("complaints: nothing in them acts on a terminal") {
  metrics::Complaints complaints;
  complaints.garbled("/net/\x1b[2J", "\x1b]0;x\a", "a count", {"m", {"\x9b", "e"}});
  complaints.unreadable("/\a", failed("cannot open /\a: \x1b"), {"m", {"\r"}});
  CHECK(end_tick(complaints) ==
        Told{R"(/net/\x1b[2J: '\x1b]0;x\x07' is not a count; m of \x9be is left out)",
             R"(cannot open /\x07: \x1b; m of \r is left out)"});
}

}  // namespace
}  // namespace msp
