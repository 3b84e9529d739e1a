// Whether the filesystem collector tells what its own mount namespace shows from what pid 1's does,
// and never calls hidden what is not.
#include "collectors/mountinfo.h"

#include <catch2/catch.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/base/text.h"
#include "agent/metrics/exposition.h"
#include "collectors/registry.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

std::string g_asked;

int fake_statvfs(const char* path, struct statvfs* out) {
  g_asked += std::string(path) + "\n";
  out->f_bsize = 4096;
  return 0;
}

struct TwoTables {
  TwoTables() {}
  ~TwoTables() { fs::remove_all(folder); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name, std::ios::trunc) << text;
  }
  void init(const std::string& text) const { write("1/mountinfo", text); }
  void own(const std::string& text) const { write("self/mountinfo", text); }

  std::string tick() {
    if (!collector) {
      for (const auto& entry : collectors::collector_registry()) {
        if (entry.name == "filesystem")
          collector = entry.make({paths, host, options, files, wakeup});
      }
    }
    g_asked.clear();
    builder.begin(writer);
    REQUIRE(test::collect(*collector, {++number, 0}, *wakeup, writer).has_value());
    REQUIRE(builder.commit(writer).has_value());
    return metrics::text_format(builder.finish(0));
  }

  /// Mount points that are reported as hidden, a space behind each.
  std::string hidden() {
    const auto text = tick();
    std::string points;
    for (std::string_view rest = text; const auto line = next_line(rest);) {
      if (!line->starts_with("node_filesystem_device_error{") || !line->ends_with(" 1")) continue;
      CHECK(line->find("\"hidden from the agent by its mount namespace\"") != line->npos);
      const auto begin = line->find("mountpoint=\"") + 12;
      points += std::string(line->substr(begin, line->find('"', begin) - begin)) + " ";
    }
    return points;
  }

  static std::string make_folder() {
    char name[] = "/tmp/msp-agent-mounts-XXXXXX";
    return mkdtemp(name);
  }

  const fs::path folder = make_folder();
  collectors::HostPaths paths{folder, folder, "/"};
  collectors::Host host{.statvfs = fake_statvfs};
  collectors::CollectorOptions options = test::options_of("filesystem");
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::unique_ptr<collectors::Collector> collector;
  std::uint64_t number = 0;
};

// As systemd shows them to a service with PrivateTmp= and PrivateDevices=.
const std::string kInit =
    "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "21 20 0:5 / /dev rw - devtmpfs udev rw\n"
    "22 21 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
    "23 20 8:2 / /tmp rw - xfs /dev/sda2 rw\n"
    "24 23 0:40 / /tmp/build rw - tmpfs t rw\n"
    "25 20 0:31 /@home /home rw - btrfs /dev/sdb rw\n"
    "26 20 8:3 / /srv/a\\040b rw - ext4 /dev/sda3 rw\n";
const std::string kOwn =
    "120 100 8:1 / / ro - ext4 /dev/sda1 rw\n"
    "121 120 0:5 / /dev rw - devtmpfs udev rw\n"
    "123 120 8:2 / /tmp rw - xfs /dev/sda2 rw\n"
    "124 123 0:40 / /tmp/build rw - tmpfs t rw\n"
    "125 120 0:31 /@home /home ro - btrfs /dev/sdb rw\n"
    "126 120 8:3 / /srv/a\\040b ro - ext4 /dev/sda3 rw\n"
    "130 121 0:99 / /dev rw - tmpfs tmpfs rw\n"
    "131 130 0:23 / /dev/shm rw - tmpfs tmpfs rw\n"
    "132 123 8:2 /systemd-private-1/tmp /tmp rw - xfs /dev/sda2 rw\n";

}  // namespace

TEST_CASE_METHOD(TwoTables, "filesystem: what the agent's mounts cover is hidden, and not asked") {
  init(kInit);
  own(kOwn);
  CHECK(hidden() == "/dev /tmp/build ");
  CHECK(g_asked == "/\n/dev/shm\n/tmp\n/home\n/srv/a b\n");
  CHECK(hidden() == "/dev /tmp/build ");
}

TEST_CASE_METHOD(TwoTables, "filesystem: nothing is hidden that both tables lead to") {
  init(kInit);
  SECTION("the same table") {
    own(kInit);
  }
  SECTION("no table of its own") {}
  SECTION("an empty one") {
    own("");
  }
  SECTION("one that is garbage") {
    own("nothing\n1 2 3\n");
  }
  SECTION("a chroot, which shows what is inside only") {
    own("121 99 0:7 / /proc rw - p p rw\n");
  }
  SECTION("a chain that leads to itself") {
    own("1 1 8:1 / / rw - e d rw\n2 1 8:1 / /x rw - e d rw\n1 2 8:1 / /x rw - e d rw\n");
    init("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 8:1 / /x rw - ext4 /dev/sda1 rw\n");
  }
  SECTION("automounted, stacked, bound, and a mount more in what is read last") {
    init(
        "20 1 0:50 / / rw - overlay overlay rw\n"
        "21 20 0:41 / /net rw - autofs systemd-1 rw\n"
        "22 21 0:42 / /net rw - nfs4 filer:/ rw\n"
        "23 20 8:1 /docker /var/lib/docker rw - ext4 /dev/sda1 rw\n"
        "24 20 8:2 / /mnt rw - ext4 /dev/sdb rw\n"
        "25 24 8:3 / /mnt rw - ext4 /dev/sdc rw\n");
    own("120 99 0:50 / / rw - overlay overlay rw\n"
        "121 120 0:41 / /net rw - autofs systemd-1 rw\n"
        "122 121 0:42 / /net rw - nfs4 filer:/ rw\n"
        "123 120 8:1 /docker /var/lib/docker rw - ext4 /dev/sda1 rw\n"
        "124 120 8:2 / /mnt rw - ext4 /dev/sdb rw\n"
        "125 124 8:3 / /mnt rw - ext4 /dev/sdc rw\n"
        "126 120 8:4 / /new rw - ext4 /dev/sdd rw\n");
  }
  SECTION("a /proc of its own") {
    init("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:5 / /proc rw - proc proc rw\n");
    own("120 100 8:1 / / rw - ext4 /dev/sda1 rw\n121 120 0:99 / /proc rw - proc proc rw\n");
  }
  SECTION("a mount on / is on nobody's way") {
    init(kInit + "30 20 0:60 / / rw - tmpfs t rw\n");
    own(kOwn + "140 120 0:60 / / rw - tmpfs t rw\n");
    CHECK(hidden() == "/dev /tmp/build ");
    return;
  }
  CHECK(hidden().empty());
}

TEST_CASE_METHOD(TwoTables, "filesystem: a container without rslave lacks what is mounted later") {
  paths.rootfs = "/host";
  init("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 8:2 / /data rw - ext4 /dev/sdb rw\n");
  SECTION("lacks it") {
    own("5 4 0:50 / / rw - overlay overlay rw\n6 5 8:1 / /host ro - ext4 /dev/sda1 rw\n");
    CHECK(hidden() == "/data ");
    CHECK(g_asked == "/host\n");
  }
  SECTION("has it") {
    own("5 4 0:50 / / rw - overlay overlay rw\n6 5 8:1 / /host ro - ext4 /dev/sda1 rw\n"
        "7 6 8:2 / /host/data ro - ext4 /dev/sdb rw\n");
    CHECK(hidden().empty());
  }
  SECTION("reaches the host in a way that the table does not show, as /proc/1/root is") {
    own("5 4 0:50 / / rw - overlay overlay rw\n6 5 0:6 / /proc ro - proc proc rw\n");
    CHECK(hidden().empty());
  }
}

TEST_CASE_METHOD(TwoTables, "filesystem: two tables of different moments are told after one tick") {
  init("20 1 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:41 / /net rw - autofs systemd-1 rw\n");
  const std::string without =
      "20 9 8:1 / / rw - ext4 /dev/sda1 rw\n21 20 0:41 / /net rw - autofs systemd-1 rw\n";
  own(without + "22 21 0:42 / /net rw - nfs4 filer:/ rw\n");
  CHECK(hidden() == "/net ");
  own(without);  // and pid 1's is what it was
  CHECK(hidden().empty());
}

TEST_CASE_METHOD(TwoTables, "filesystem: the agent's own table is read only when pid 1's changes") {
  init(kInit);
  own(kOwn);
  hidden();
  hidden();
  own(kInit);
  CHECK(hidden() == "/dev /tmp/build ");
  init(kInit + "30 20 0:60 / /new rw - tmpfs t rw\n");
  CHECK(hidden() == "/new ");
}

TEST_CASE_METHOD(TwoTables, "filesystem: with hidepid, what a unit makes read-only is not") {
  own("120 100 8:1 / / ro - ext4 /dev/sda1 rw\n121 120 8:2 / /srv ro - ext4 /dev/sdb ro\n");
  const auto text = tick();
  CHECK(text.find("readonly{device=\"/dev/sda1\",fstype=\"ext4\",mountpoint=\"/\"} 0") !=
        text.npos);
  CHECK(text.find("readonly{device=\"/dev/sdb\",fstype=\"ext4\",mountpoint=\"/srv\"} 1") !=
        text.npos);
}

}  // namespace msp
