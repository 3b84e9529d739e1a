#include "agent/metrics/labels.h"

#include <catch2/catch.hpp>

#include <string>
#include <utility>
#include <vector>

namespace msp {
namespace {

/// Labels({{"a", "b"}}) could mean two things to the compiler; this means one.
metrics::Labels make(std::vector<metrics::Label> labels) {
  return metrics::Labels(std::move(labels));
}

std::vector<metrics::Label> content(const metrics::Labels& labels) {
  std::vector<metrics::Label> got;
  for (const auto label : labels)
    got.push_back({std::string(label.name), std::string(label.value)});
  return got;
}

}  // namespace

TEST_CASE("labels: sorted by bytes, no empty values, the earlier of two names stays") {
  CHECK(content(metrics::Labels()).empty());
  CHECK(content(make({{"b", "2"}, {"a", "1"}, {"B", "3"}, {"__name__", "m"}, {"e", ""}})) ==
        std::vector<metrics::Label>{{"B", "3"}, {"__name__", "m"}, {"a", "1"}, {"b", "2"}});
  CHECK(content(make({{"a", "first"}, {"b", "x"}, {"a", "second"}})) ==
        std::vector<metrics::Label>{{"a", "first"}, {"b", "x"}});
  // The earlier one stays even where it then says nothing: the second must not speak for it.
  CHECK(content(make({{"a", ""}, {"a", "second"}})).empty());
}

TEST_CASE("labels: equal sets are equal bytes, in whatever order they were given") {
  const auto one = make({{"a", "1"}, {"b", "2"}});
  const auto other = make({{"b", "2"}, {"a", "1"}, {"c", ""}});
  CHECK(one == other);
  CHECK(one.flat() == other.flat());
  CHECK_FALSE(one == make({{"a", "12"}, {"b", ""}}));
}

TEST_CASE("labels: get") {
  const auto labels = make({{"a", "1"}, {"ab", "2"}});
  CHECK(labels.get("a") == "1");
  CHECK(labels.get("ab") == "2");
  CHECK(labels.get("b") == "");
  CHECK(labels.get("") == "");
}

TEST_CASE("labels: values are made UTF-8 and cut at a character") {
  CHECK(make({{"a",
               "x\xff"
               "y"}})
            .get("a") == "x\xef\xbf\xbdy");
  const std::string longest(metrics::Labels::kLengthMax, 'x');
  CHECK(make({{"a", longest}}).get("a") == longest);
  CHECK(make({{"a", longest + "y"}}).get("a") == longest);
  std::string straddling(metrics::Labels::kLengthMax - 1, 'x');
  const auto cut = straddling;
  straddling += "\xc3\xa9";
  CHECK(make({{"a", straddling}, {"b", "2"}}).get("a") == cut);
  CHECK(make({{"a", straddling}, {"b", "2"}}).get("b") == "2");
}

TEST_CASE("labels: the flat form comes back") {
  const auto labels =
      make({{"a", "1"}, {"name", std::string("NUL \0 and \n", 10)}, {"z", std::string(300, 'z')}});
  metrics::Labels back;
  REQUIRE(back.assign_flat(labels.flat()));
  CHECK(back == labels);
  REQUIRE(back.assign_flat(""));
  CHECK(back == metrics::Labels());
}

TEST_CASE("labels: a damaged flat form is refused and changes nothing") {
  const auto labels = make({{"a", "1"}, {"bc", "23"}});
  const std::string flat(labels.flat());
  const auto before = make({{"kept", "yes"}});

  const std::size_t first_pair = 2 + 1 + 2 + 1;
  for (std::size_t size = 1; size < flat.size(); ++size) {
    INFO("cut after " << size);
    metrics::Labels got = before;
    const bool whole_pairs = size == first_pair;
    CHECK(got.assign_flat(std::string_view(flat).substr(0, size)) == whole_pairs);
    CHECK(got == (whole_pairs ? make({{"a", "1"}}) : before));
  }
  for (std::size_t i = 0; i < flat.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      auto damaged = flat;
      damaged[i] = static_cast<char>(byte);
      metrics::Labels got = before;
      // What is taken can be walked to its end without leaving it.
      if (got.assign_flat(damaged)) {
        std::size_t bytes = 0;
        for (const auto label : got) bytes += 4 + label.name.size() + label.value.size();
        CHECK(bytes == damaged.size());
      } else {
        CHECK(got == before);
      }
    }
  }
}

}  // namespace msp
