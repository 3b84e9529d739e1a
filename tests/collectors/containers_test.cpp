// What golden files cannot say of containers: more of them than the limit, names that are known later,
// and a host on which containers come and go all day.
#include <catch2/catch.hpp>

#include <malloc.h>

#include <filesystem>
#include <string>
#include <utility>

#include "collectors/container_path.h"
#include "tests/support/collector_options.h"
#include "tests/support/container_host.h"

namespace fs = std::filesystem;

namespace msp::test {
namespace {

constexpr std::size_t kSeriesEach = 3;  // memory, processes, last seen

}  // namespace

TEST_CASE_METHOD(ContainerHost, "containers beyond the limit are left out, with one line") {
  option<std::uint64_t>(options, "containers_max") = 3;
  for (unsigned i = 1; i <= 3; ++i) add(i * 10);
  CHECK(tick().complaints.empty());
  for (unsigned i = 0; i < 5; ++i) add(11 + i);
  const auto over = tick();
  CHECK(over.memory.size() == 3);
  CHECK(over.ended == 0);  // those that were there stay
  REQUIRE(over.complaints.size() == 1);
  CHECK(over.complaints[0].find(
            ": more than 3 containers, which is "
            "collectors.containers.containers_max; each that came later is left out") !=
        std::string::npos);
  add(17);
  CHECK(tick().complaints.empty());
  remove(10);
  const auto other = tick();
  CHECK(other.memory.size() == 3);
  CHECK(other.ended == kSeriesEach);
  for (unsigned i = 11; i < 18; ++i) remove(i);
  const auto fewer = tick();
  REQUIRE(fewer.complaints.size() == 1);
  CHECK(fewer.complaints[0].starts_with("over: "));
}

TEST_CASE_METHOD(ContainerHost, "a name that is written later begins other series, once") {
  add(1);
  CHECK(tick().memory.begin()->first == cat("/system.slice/docker-", id_of(1), ".scope"));
  const auto line = cat("msp_agent_container_info{id=\"", id_of(1), "\",name=\"web\"} 1\n");
  write("root/var/lib/msp-agent-textfile/containers.prom", line);
  const auto named = tick();
  CHECK(named.memory.begin()->first == "web");
  CHECK(named.ended == kSeriesEach);
  CHECK(tick().ended == 0);
  fs::remove(folder / "root/var/lib/msp-agent-textfile/containers.prom");
  CHECK(tick().memory.begin()->first.starts_with("/system.slice/"));
}

TEST_CASE_METHOD(ContainerHost,
                 "the last container ends with a marker, and then nothing is asked") {
  add(1);
  CHECK(tick().series == kSeriesEach);
  remove(1);
  const auto last = tick();
  CHECK(last.error == "");
  CHECK(last.ended == kSeriesEach);
  CHECK(tick().error.ends_with(": no control group of a container"));
}

TEST_CASE_METHOD(ContainerHost, "a container that is replaced between two ticks is another one") {
  add(1);
  add(2);
  tick();
  remove(2);
  add(3);  // as many folders as before
  const auto after = tick();
  CHECK(after.memory.size() == 2);
  CHECK(after.memory.contains(cat("/system.slice/docker-", id_of(3), ".scope")));
  CHECK(after.ended == kSeriesEach);
}

TEST_CASE_METHOD(ContainerHost, "50 containers that are others at each tick leave nothing behind") {
  constexpr unsigned kContainers = 50, kTicks = 40;
  std::size_t early = 0;
  for (unsigned i = 0; i < kTicks; ++i) {
    for (unsigned c = 0; c < kContainers; ++c) {
      if (i > 0) remove((i - 1) * kContainers + c);
      add(i * kContainers + c);
    }
    const auto report = tick();
    REQUIRE(report.series == kContainers * kSeriesEach);
    REQUIRE(report.ended == (i == 0 ? 0 : kContainers * kSeriesEach));
    if (i == kTicks / 4) early = mallinfo2().uordblks;
  }
  CHECK(mallinfo2().uordblks < early + 16'000);
}

TEST_CASE_METHOD(ContainerHost, "1,000 containers are 1,000 times the series of one") {
  option<std::uint64_t>(options, "containers_max") = 1'000;
  for (unsigned i = 0; i < 1'000; ++i) add(i);
  const auto open_files = [] { return std::distance(fs::directory_iterator("/proc/self/fd"), {}); };
  const auto before = open_files();
  CHECK(tick().series == 1'000 * kSeriesEach);
  CHECK(open_files() <= before + 1);  // /proc/stat stays open
}

TEST_CASE("what the name of a control group says of a container") {
  const auto id = id_of(7);
  struct Row {
    std::string group, parent, id, name;
  };
  const Row containers[] = {
      {"docker-" + id + ".scope", "system.slice", id, ""},
      {id, "docker", id, ""},
      {"cri-containerd-" + id + ".scope", "x.slice", id, ""},
      {"x.slice:cri-containerd:" + id, "", id, ""},
      {"libpod-payload-" + id, "web.service", id, ""},
      {"lxc.payload.a_b.c", "", "", "a_b.c"},
      {"systemd-nspawn@a\\x2db.service", "machine.slice", "", "a-b"},
      {"machine-qemu\\x2d12\\x2da\\x2db.scope", "machine.slice", "", "a-b"},
      {"machine-qemu\\x2dx.scope", "machine.slice", "", "qemu-x"},
      {"machine-a\\xzz.scope", "machine.slice", "", "a\\xzz"},
      {"machine-\\xff.scope", "machine.slice", "", "\xef\xbf\xbd"},
  };
  for (const auto& row : containers) {
    INFO(row.group);
    const auto found = collectors::container_of(row.group, row.parent);
    REQUIRE(found.has_value());
    CHECK(found->id == row.id);
    CHECK(found->name == row.name);
  }
  const std::pair<std::string, std::string> others[] = {
      {"libpod-conmon-" + id + ".scope", "machine.slice"},
      {"crio-conmon-" + id + ".scope", "x.slice"},
      {"machine-libpod_pod_" + id + ".slice", "machine.slice"},
      {"var-lib-docker-" + id + "-merged.mount", "system.slice"},
      {"x" + id, "system.slice"},
      {id.substr(1), "docker"},
      {std::string(64, 'G'), "docker"},
      {"lxc.monitor.a", ""},
      {"lxc.payload.", ""},
      {"machine-.scope", "machine.slice"},
      {"machine-a.scope", "user.slice"},
      {"systemd-nspawn@.service", "machine.slice"},
      {"docker.service", "system.slice"},
      {"", ""},
  };
  for (const auto& [group, parent] : others) {
    INFO(group);
    CHECK_FALSE(collectors::container_of(group, parent).has_value());
  }
  const std::string uid = "0f3c1b7e-8a52-4f0e-9d4c-5b6a7c8d9e0f";
  CHECK(collectors::pod_uid("pod" + uid) == uid);
  CHECK(collectors::pod_uid(
            "kubelet-kubepods-burstable-pod0f3c1b7e_8a52_4f0e_9d4c_5b6a7c8d9e0f.slice") == uid);
  CHECK(collectors::pod_uid("kubepods-pod" + std::string(32, 'a') + ".slice") ==
        std::string(32, 'a'));
  CHECK(collectors::pod_uid("kubepods-burstable.slice") == "");
  CHECK(collectors::pod_uid("xpod" + uid) == "");
}

}  // namespace msp::test
