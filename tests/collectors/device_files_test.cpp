// What golden files cannot say of filesystem and netdev: files that follow their devices, paths
// that the test chooses, errors by number, and that an unchanged host costs no allocation of
// labels.
#include <catch2/catch.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/metrics/exposition.h"
#include "collectors/registry.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

int g_error;
std::string g_asked;

int fake_statvfs(const char* path, struct statvfs* out) {
  g_asked += std::string(path) + "\n";
  out->f_bsize = 4096;
  out->f_frsize = 512;
  out->f_blocks = 10;
  errno = g_error;
  return g_error == 0 ? 0 : -1;
}

struct Fixture {
  Fixture() {
    g_error = 0;
    g_asked.clear();
  }
  ~Fixture() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }

  std::string tick(std::string_view collector) {
    if (!part) {
      for (const auto& entry : collectors::collector_registry()) {
        if (entry.name != collector) continue;
        options = options.values() == nullptr ? entry.options() : options;
        part = entry.make({paths, host, options, files, wakeup});
      }
    }
    builder.begin(writer);
    if (const auto outcome = test::collect(*part, {++number, 0}, *wakeup, writer); !outcome) {
      builder.rollback(writer);
      return outcome.error().text;
    }
    REQUIRE(builder.commit(writer).has_value());
    return metrics::text_format(builder.finish(0));
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-devices-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder = make_folder();
  collectors::HostPaths paths{folder / "proc", folder / "sys", "/"};
  collectors::Host host{.statvfs = fake_statvfs};
  collectors::CollectorOptions options;
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::unique_ptr<collectors::Collector> part;
  std::uint64_t number = 0;
};

std::string net_dev(std::initializer_list<const char*> devices) {
  std::string table = "Inter-|   Receive |  Transmit\n face |bytes |bytes\n";
  for (const auto* device : devices) {
    table += std::string(device) + ": 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n";
  }
  return table;
}

bool has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

}  // namespace

TEST_CASE_METHOD(Fixture, "netdev: an open file that follows its renamed device is not another's") {
  write("proc/net/dev", net_dev({"eth0", "eth1"}));
  write("sys/class/net/eth0/statistics/rx_nohandler", "100\n");
  write("sys/class/net/eth1/statistics/rx_nohandler", "200\n");
  CHECK(has(tick("netdev"), "node_network_receive_nohandler_total{device=\"eth0\"} 100"));

  const auto net = folder / "sys/class/net";
  SECTION("swapped") {
    fs::rename(net / "eth0", net / "tmp");
    fs::rename(net / "eth1", net / "eth0");
    fs::rename(net / "tmp", net / "eth1");
    write("proc/net/dev", net_dev({"eth1", "eth0"}));
    const auto text = tick("netdev");
    CHECK(has(text, "node_network_receive_nohandler_total{device=\"eth0\"} 200"));
    CHECK(has(text, "node_network_receive_nohandler_total{device=\"eth1\"} 100"));
  }
  SECTION("one moved up to the name of another") {
    fs::rename(net / "eth0", net / "lan0");
    fs::rename(net / "eth1", net / "eth0");
    write("proc/net/dev", net_dev({"lan0", "eth0"}));
    const auto text = tick("netdev");
    CHECK(has(text, "node_network_receive_nohandler_total{device=\"lan0\"} 100"));
    CHECK(has(text, "node_network_receive_nohandler_total{device=\"eth0\"} 200"));
  }
}

TEST_CASE_METHOD(Fixture,
                 "filesystem: --path.rootfs is cut off mount points and put before statvfs") {
  paths.rootfs = "/host";
  write("proc/1/mountinfo",
        "1 0 8:1 / /host rw - ext4 /dev/sda1 rw\n"
        "2 0 8:2 / /host/srv\\040x rw - ext4 /dev/sda2 rw\n"
        "3 0 8:3 / /hostile rw - ext4 /dev/sda3 rw\n");
  const auto text = tick("filesystem");
  CHECK(g_asked == "/host\n/host/srv x\n/host/hostile\n");
  for (const auto* point : {"/", "/srv x", "/hostile"}) {
    CHECK(text.find(std::string("mountpoint=\"") + point + "\"") != text.npos);
  }
}

TEST_CASE_METHOD(Fixture, "filesystem: sizes count in f_bsize, as node_exporter does") {
  write("proc/1/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
  CHECK(has(
      tick("filesystem"),
      "node_filesystem_size_bytes{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 40960"));
}

TEST_CASE_METHOD(Fixture, "filesystem: errors read as Go's") {
  write("proc/1/mountinfo", "1 0 8:1 / / ro - ext4 /dev/sda1 rw\n");
  const std::pair<int, const char*> errors[] = {
      {EACCES, "permission denied"},
      {EPERM, "operation not permitted"},
      {ENOENT, "no such file or directory"},
      {EIO, "input/output error"},
      {ESTALE, "stale file handle"},
      {ENOTCONN, "transport endpoint is not connected"},
      {ELOOP, "too many levels of symbolic links"},
      {ENOTDIR, "not a directory"},
      {EHOSTDOWN, "host is down"},
      {EUCLEAN, "structure needs cleaning"},
      {EREMOTEIO, "remote I/O error"},
      {ESRMNT, "srmount error"},
      {EDOTDOT, "RFS specific error"},
  };
  for (const auto& [error, text] : errors) {
    g_error = error;
    const auto labels = std::string("{device=\"/dev/sda1\",device_error=\"") + text +
                        "\",fstype=\"ext4\",mountpoint=\"/\"} 1";
    const auto report = tick("filesystem");
    CHECK(has(report, "node_filesystem_device_error" + labels));
    CHECK(has(report, "node_filesystem_readonly" + labels));
  }
}

TEST_CASE_METHOD(Fixture, "filesystem: mounts are filtered again only when mountinfo has changed") {
  int asked = 0;
  options = test::options_of("filesystem");
  test::option<Filter>(options, "fs_types_exclude") = [&](std::string_view) { return ++asked > 0; };
  write("proc/1/mountinfo", "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
  for (int i = 0; i < 3; ++i) tick("filesystem");
  CHECK(asked == 1);
  write("proc/1/mountinfo", "1 0 8:1 / / ro - ext4 /dev/sda1 rw\n");
  tick("filesystem");
  CHECK(asked == 2);

  write("proc/1/mountinfo", "1 0 8:1 / / ro\n");
  const auto error = tick("filesystem");
  CHECK(error.find("line 1") != error.npos);
  CHECK(tick("filesystem") == error);  // and not the mounts of before
}

TEST_CASE_METHOD(Fixture, "netdev: a filter is asked once per device") {
  int asked = 0;
  options = test::options_of("netdev");
  test::option<Filter>(options, "device_exclude") = [&](std::string_view name) {
    return ++asked > 0 && name != "eth1";
  };
  write("proc/net/dev", net_dev({"eth0", "eth1", "eth2"}));
  for (int i = 0; i < 3; ++i) tick("netdev");
  CHECK(asked == 3);
  write("proc/net/dev", net_dev({"eth0", "eth2", "eth3"}));
  const auto text = tick("netdev");
  CHECK(asked == 4);
  CHECK(has(text, "node_network_receive_bytes_total{device=\"eth3\"} 1"));
  CHECK(text.find("eth1") == text.npos);
}

}  // namespace msp
