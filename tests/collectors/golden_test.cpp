// Every folder tests/fixtures/<collector>/<case> is one test: what the collector reports of that
// host must be expected.prom (tests/support/fixture_host.h has the parts of a host).
//
// MSP_UPDATE_GOLDEN=1 writes the files anew: read the difference before you keep it.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <fstream>

#include "tests/support/fixture_host.h"

namespace fs = std::filesystem;

namespace msp::test {

TEST_CASE("every fixture of every collector reads as expected", "[golden]") {
  for (const auto& entry : collectors::collector_registry()) {
    const auto collector_folder = fs::path(FIXTURES) / std::string(entry.name);
    INFO("a collector without fixtures is a collector without a test: " << entry.name);
    REQUIRE(fs::is_directory(collector_folder));
    for (const auto& folder : fs::directory_iterator(collector_folder)) {
      const auto expected_file = folder.path() / "expected.prom";
      const auto got = run_fixture(entry, folder.path()).text;
      if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) std::ofstream(expected_file) << got;
      INFO(folder.path().string());
      CHECK(got == slurp(expected_file));
    }
  }
}

}  // namespace msp::test
