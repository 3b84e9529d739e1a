#include "agent/config/quantity.h"

#include <catch2/catch.hpp>

namespace msp {

using namespace std::chrono_literals;

TEST_CASE("quantity: durations") {
  CHECK(config::parse_duration("500ms") == 500ms);
  CHECK(config::parse_duration("15s") == 15s);
  CHECK(config::parse_duration("1m30s") == 90s);
  CHECK(config::parse_duration("2h") == 2h);
  CHECK(config::parse_duration("7d") == 7 * 24h);
  CHECK(config::parse_duration("1d2h3m4s5ms") == 26h + 3min + 4s + 5ms);
  CHECK(config::parse_duration("0s") == 0s);
  CHECK(config::parse_duration("36525d") == 36525 * 24h);
  for (const std::string_view bad :
       {"", "0", "15", "s", "15 s", " 15s", "15s ", "-1s", "+1s", "1.5s", "1s1m", "1s2s", "1w",
        "1S", "1min", "36526d", "36525d1ms", "18446744073709551616ms", "18446744073709551615d"}) {
    INFO(bad);
    CHECK_FALSE(config::parse_duration(bad));
  }
}

TEST_CASE("quantity: amounts in words can be read again") {
  for (const std::string_view duration : {"500ms", "15s", "1m30s", "7d", "1d2h3m4s5ms", "0s"}) {
    CHECK(config::duration_words(*config::parse_duration(duration)) == duration);
  }
  for (const std::string_view size : {"0", "1B", "1KiB", "256MiB", "1TiB", "1025KiB"}) {
    CHECK(config::size_words(*config::parse_size(size)) == size);
  }
  CHECK(config::size_words(*config::parse_size("1MB")) == "1000000B");
}

TEST_CASE("quantity: sizes") {
  CHECK(config::parse_size("0") == 0);
  CHECK(config::parse_size("0B") == 0);
  CHECK(config::parse_size("512B") == 512);
  CHECK(config::parse_size("1KiB") == 1024);
  CHECK(config::parse_size("256MiB") == 256 * 1024 * 1024);
  CHECK(config::parse_size("2GiB") == 2ull << 30);
  CHECK(config::parse_size("1TiB") == 1ull << 40);
  CHECK(config::parse_size("1kB") == 1000);
  CHECK(config::parse_size("1KB") == 1000);
  CHECK(config::parse_size("5MB") == 5'000'000);
  CHECK(config::parse_size("5GB") == 5'000'000'000);
  CHECK(config::parse_size("5TB") == 5'000'000'000'000);
  CHECK(config::parse_size("16777215TiB") == 16777215ull << 40);
  for (const std::string_view bad : {"", "256", "MiB", "256 MiB", "256mib", "256M", "-1B", "1.5GiB",
                                     "1GiB1MiB", "16777216TiB"}) {
    INFO(bad);
    CHECK_FALSE(config::parse_size(bad));
  }
}

}  // namespace msp
