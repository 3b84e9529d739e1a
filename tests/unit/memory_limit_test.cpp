#include "agent/run/memory_limit.h"

#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "agent/config/config.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

struct Fixture {
  ~Fixture() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
  }
  std::optional<std::uint64_t> limit() const {
    return run::memory_limit(folder / "proc", folder / "cgroup");
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-memory-XXXXXX";
    return mkdtemp(name);
  }
  const fs::path folder = make_folder();
};

}  // namespace

TEST_CASE_METHOD(Fixture, "the memory limit is the smallest of the unit's and its slices'") {
  write("proc/self/cgroup", "0::/system.slice/msp-agent.service\n");
  CHECK_FALSE(limit().has_value());
  write("cgroup/system.slice/msp-agent.service/memory.max", "67108864\n");
  CHECK(limit() == 64 << 20);
  write("cgroup/system.slice/memory.max", "max\n");
  CHECK(limit() == 64 << 20);
  write("cgroup/memory.max", "33554432\n");
  CHECK(limit() == 32 << 20);
}

TEST_CASE_METHOD(Fixture, "the memory limit of cgroups v1, in a tree of its own") {
  write("proc/self/cgroup",
        "12:pids:/system.slice/msp-agent.service\n"
        "4:hugetlb,memory:/system.slice/msp-agent.service\n"
        "0::/system.slice/msp-agent.service\n");
  write("cgroup/memory/system.slice/msp-agent.service/memory.limit_in_bytes", "67108864\n");
  write("cgroup/memory/system.slice/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(limit() == 64 << 20);
}

TEST_CASE_METHOD(Fixture, "the memory limit of a container that sees the host's path") {
  write("proc/self/cgroup", "0::/kubepods/pod7/c1\n");
  write("cgroup/memory.max", "134217728\n");
  CHECK(limit() == 128 << 20);
}

TEST_CASE("the limit on series is what the configuration says, or 25,000") {
  const std::string yaml = "customer_id: a\nserver_name: b\nremote_write: {url: http://c/}\n";
  CHECK(config::parse_config(yaml, "f").config.series_max == 25'000);
  const auto outcome = config::parse_config(yaml + "series_max: 130000\n", "f");
  CHECK(outcome.errors.empty());
  CHECK(outcome.config.series_max == 130'000);
}

TEST_CASE("the limit on series follows the memory, and says so in one line") {
  CHECK(run::series_limit(25'000, std::nullopt).series_max == 25'000);
  CHECK(run::series_limit(25'000, std::nullopt).warning.empty());
  CHECK(run::series_limit(25'000, 64 << 20).warning.empty());  // what the unit has
  const auto small = run::series_limit(25'000, 32 << 20);
  CHECK(small.series_max == run::series_that_fit(32 << 20));
  CHECK(small.series_max < 25'000);
  CHECK(small.warning.find("32 MiB") != std::string::npos);
  CHECK(small.warning.find("series_max: 25000") != std::string::npos);
  CHECK(run::series_limit(25'000, 1 << 20).series_max == 1'000);
}

}  // namespace msp
