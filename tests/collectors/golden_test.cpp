// Every folder tests/fixtures/<collector>/<case> is one test: the collector reads its proc, sys and
// root folders and what it reports must be expected.prom, as --dry-run would print it without the
// target's labels.
//
//   proc/ sys/ root/    the host; a missing one is an empty folder
//   1/ 2/ ...           instead of these: one such host per tick, all reported in one expected.prom
//   ("# tick 2") statvfs.txt         "path blocks block_size free available files files_free", or
//   "path ERRNO-NAME", a line each uname.txt           sysname, nodename, release, version,
//   machine, domainname, a line each options.yaml        what stands under "collectors:" in
//   msp-agent.yaml
//
// A collector that fails ends in "# error: ..." with the temporary paths cut off.
// MSP_UPDATE_GOLDEN=1 writes the files anew: read the difference before you keep it.
#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "agent/config/config.h"
#include "agent/core/text.h"
#include "agent/core/text_format.h"
#include "collectors/registry.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Statvfs {
  struct statvfs answer {};
  int error = 0;
};
// Host holds plain function pointers; the tests run one case at a time.
std::map<std::string, Statvfs> g_statvfs;
struct utsname g_uname;

int fake_uname(struct utsname* out) {
  *out = g_uname;
  return 0;
}

int fake_statvfs(const char* path, struct statvfs* out) {
  const auto found = g_statvfs.find(path);
  errno = found == g_statvfs.end() ? ENOENT : found->second.error;
  if (errno != 0) return -1;
  *out = found->second.answer;
  return 0;
}

void load_statvfs(const fs::path& file, const std::string& rootfs) {
  g_statvfs.clear();
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string path, second;
    words >> path >> second;
    Statvfs entry;
    if (second == "EACCES")
      entry.error = EACCES;
    else if (second == "EIO")
      entry.error = EIO;
    else if (second == "ESTALE")
      entry.error = ESTALE;
    else {
      auto& a = entry.answer;
      a.f_blocks = std::stoull(second);
      words >> a.f_frsize >> a.f_bfree >> a.f_bavail >> a.f_files >> a.f_ffree;
      a.f_bsize = a.f_frsize;
      REQUIRE(words);
    }
    g_statvfs[HostPaths{.rootfs = rootfs}.root(path)] = entry;
  }
}

void load_uname(const fs::path& file) {
  std::ifstream in(file);
  std::memset(&g_uname, 0, sizeof g_uname);
  for (char* field : {g_uname.sysname, g_uname.nodename, g_uname.release, g_uname.version,
                      g_uname.machine, g_uname.domainname}) {
    std::string line;
    std::getline(in, line);
    std::strncpy(field, line.c_str(), sizeof g_uname.sysname - 1);
  }
}

/// Makes `host` equal to `tick` while files keep their inodes, as /proc's do: collectors hold
/// descriptors.
void set_host(const fs::path& tick, const fs::path& host) {
  std::set<fs::path> wanted;
  for (const auto* part : {"proc", "sys", "root"}) {
    fs::create_directories(host / part);
    wanted.insert(host / part);
    if (!fs::exists(tick / part)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(tick / part)) {
      const auto to = host / fs::relative(entry.path(), tick);
      wanted.insert(to);
      if (entry.is_directory()) {
        fs::create_directories(to);
      } else {
        std::ofstream(to, std::ios::binary | std::ios::trunc) << slurp(entry.path());
      }
    }
  }
  std::vector<fs::path> gone;
  for (const auto& entry : fs::recursive_directory_iterator(host)) {
    if (!wanted.contains(entry.path())) gone.push_back(entry.path());
  }
  for (const auto& path : gone) fs::remove_all(path);
}

CollectorOptions load_options(const fs::path& file) {
  std::string yaml = "customer_id: t\nserver_name: t\nremote_write: {url: http://localhost/}\n";
  if (fs::exists(file)) {
    yaml += "collectors:\n";
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) yaml += "  " + line + "\n";
  }
  const auto outcome = parse_config(yaml, file);
  for (const auto& error : outcome.errors) FAIL(error.to_string());
  return outcome.config.collector_options;
}

std::string run_case(const CollectorEntry& entry, const fs::path& folder) {
  char name[] = "/tmp/msp-agent-golden-XXXXXX";
  const fs::path host_folder = mkdtemp(name);
  const HostPaths paths{host_folder / "proc", host_folder / "sys", host_folder / "root"};
  load_statvfs(folder / "statvfs.txt", paths.rootfs);
  load_uname(folder / "uname.txt");

  std::vector<fs::path> ticks;
  for (int n = 1; fs::exists(folder / std::to_string(n)); ++n) {
    ticks.push_back(folder / std::to_string(n));
  }
  if (ticks.empty()) ticks.push_back(folder);

  FileTable files;
  const Host host{fake_uname, fake_statvfs};
  const auto options = load_options(folder / "options.yaml");
  set_host(ticks.front(), host_folder);
  const auto collector = entry.make({paths, host, options, files});
  ScrapeBuilder builder{TargetLabels{}};
  auto& writer = builder.add_writer();

  std::string text;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    set_host(ticks[i], host_folder);
    if (ticks.size() > 1) text += cat(i == 0 ? "" : "\n", "# tick ", i + 1, "\n");
    builder.begin(writer);
    auto outcome = collector->collect({i + 1, 1'700'000'000'250'000'000}, writer);
    if (outcome) {
      outcome = builder.commit(writer);
    } else {
      builder.rollback(writer);
    }
    if (outcome) {
      text += text_format(builder.finish(0));
    } else {
      const bool no_data = outcome.error().kind == Error::Kind::no_data;
      text += cat("# ", no_data ? "no data" : "error", ": ", outcome.error().text, "\n");
    }
  }
  fs::remove_all(host_folder);
  for (auto at = text.find(name); at != text.npos; at = text.find(name))
    text.erase(at, strlen(name));
  return text;
}

TEST_CASE("every fixture of every collector reads as expected", "[golden]") {
  setenv("TZ", "UTC", 1);  // node_time_zone_offset_seconds, wherever the tests run
  for (const auto& entry : collector_registry()) {
    const auto collector_folder = fs::path(FIXTURES) / std::string(entry.name);
    INFO("a collector without fixtures is a collector without a test: " << entry.name);
    REQUIRE(fs::is_directory(collector_folder));
    for (const auto& folder : fs::directory_iterator(collector_folder)) {
      const auto expected_file = folder.path() / "expected.prom";
      const auto got = run_case(entry, folder.path());
      if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) std::ofstream(expected_file) << got;
      INFO(folder.path().string());
      CHECK(got == slurp(expected_file));
    }
  }
}

}  // namespace
}  // namespace msp
