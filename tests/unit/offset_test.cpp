#include "agent/queue/offset.h"

#include <catch2/catch.hpp>

#include <cstdint>
#include <set>

#include "tests/support/random_scrapes.h"

namespace msp {
namespace {

using Ranges = std::vector<queue::Offset::Range>;

}  // namespace

TEST_CASE("acknowledged: a range becomes one with its neighbours, and with the cursor") {
  queue::Offset done(10);
  CHECK(done.add(20, 21) == 2);
  CHECK(done.add(24, 24) == 1);
  CHECK(done.add(15, 15) == 1);
  CHECK(done.ranges() == Ranges{{15, 15}, {20, 21}, {24, 24}});
  CHECK(done.add(21, 23) == 2);
  CHECK(done.ranges() == Ranges{{15, 15}, {20, 24}});
  CHECK(done.next() == 10);
  CHECK(done.end() == 25);
  CHECK(done.add(10, 14) == 5);
  CHECK(done.next() == 16);
  CHECK(done.ranges() == Ranges{{20, 24}});
  CHECK(done.add(0, 30) == 10);
  CHECK(done.next() == 31);
  CHECK(done.ranges().empty());
  CHECK(done.add(5, 30) == 0);
}

TEST_CASE("acknowledged: what is not in it is stepped to from anywhere") {
  queue::Offset done(3);
  done.add(5, 6);
  CHECK(done.next(0) == 3);
  CHECK(done.next(3) == 3);
  CHECK(done.next(4) == 4);
  CHECK(done.next(5) == 7);
  CHECK(done.next(6) == 7);
  CHECK(done.next(100) == 100);
}

TEST_CASE("acknowledged: all from a place on can be forgotten") {
  queue::Offset done(3);
  done.add(5, 9);
  done.add(12, 15);
  done.cut(20);
  CHECK(done.end() == 16);
  done.cut(7);
  CHECK(done.ranges() == Ranges{{5, 6}});
  done.cut(5);
  CHECK(done == queue::Offset(3));
  done.cut(1);
  CHECK(done == queue::Offset(1));
}

TEST_CASE("acknowledged: its ranges are bounded in number, unless somebody insists") {
  queue::Offset done(1);
  std::uint64_t last = 1;
  while (done.ranges().size() < queue::Offset::kRangesMax) {
    last += 3;
    REQUIRE(done.has_room(last));
    done.add(last, last);
  }
  CHECK_FALSE(done.has_room(last + 2));
  CHECK_FALSE(done.has_room(2));
  for (const auto sequence : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3},
                              std::uint64_t{4}, std::uint64_t{5}, last - 1, last, last + 1}) {
    INFO(sequence);
    CHECK(done.has_room(sequence));
    auto more = done;
    more.add(sequence, sequence);
    CHECK(more.ranges().size() <= queue::Offset::kRangesMax);
  }
  done.add(last + 2, last + 2);
  CHECK(done.contains(last + 2));
}

TEST_CASE("acknowledged: what another has from a place on is taken over") {
  queue::Offset other(10);
  other.add(12, 15);
  other.add(20, 20);
  queue::Offset done(2);
  SECTION("from within its cursor") {
    done.add_from(other, 6);
    CHECK(done.next() == 2);
    CHECK(done.ranges() == Ranges{{6, 9}, {12, 15}, {20, 20}});
  }
  SECTION("from within a range") {
    done.add_from(other, 13);
    CHECK(done.ranges() == Ranges{{13, 15}, {20, 20}});
  }
  SECTION("all") {
    done.add_from(other, 0);
    CHECK(done == other);
  }
}

TEST_CASE("acknowledged: it is a set of numbers, whatever is done to it") {
  constexpr std::uint64_t kEnd = 60;
  for (const auto seed : test::seeds(200)) {
    INFO("MSP_AGENT_SEED=" << seed);
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t limit) { return random() % limit; };
    queue::Offset done(below(5));
    std::set<std::uint64_t> model;
    for (std::uint64_t i = 0; i < done.next(); ++i) model.insert(i);
    for (int step = 0; step < 40; ++step) {
      const auto first = below(kEnd);
      if (below(8) == 0) {
        done.cut(first);
        model.erase(model.lower_bound(first), model.end());
      } else if (below(8) == 0) {
        done.skip_to(first);
        for (std::uint64_t i = 0; i < first; ++i) model.insert(i);
      } else {
        const auto last = first + below(6);
        const auto before = model.size();
        for (auto i = first; i <= last; ++i) model.insert(i);
        REQUIRE(done.add(first, last) == model.size() - before);
      }
      std::uint64_t next = 0;
      while (model.contains(next)) ++next;
      REQUIRE(done.next() == next);
      REQUIRE(done.end() == (model.empty() ? 0 : *model.rbegin() + 1));
      for (std::uint64_t i = 0; i < kEnd + 10; ++i) REQUIRE(done.contains(i) == model.contains(i));
      auto after = done.next();
      for (const auto& range : done.ranges()) {
        REQUIRE(range.first > after);
        REQUIRE(range.last >= range.first);
        after = range.last + 1;
      }
      const auto from = below(kEnd), to = from + below(20);
      REQUIRE(done.count(from, to) == static_cast<std::uint64_t>(std::distance(
                                          model.lower_bound(from), model.upper_bound(to))));
    }
  }
}

}  // namespace msp
