#include "tests/support/fixture_host.h"

#include <catch2/catch.hpp>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <regex>
#include <set>
#include <sstream>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/metrics/exposition.h"
#include "tests/support/collect.h"
#include "tests/support/scripted_bus.h"

namespace fs = std::filesystem;

namespace msp::test {

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

namespace {

struct Statvfs {
  struct statvfs answer {};
  int error = 0;
};
// Host holds plain function pointers; the tests run one case at a time.
std::map<std::string, Statvfs> g_statvfs;
struct utsname g_uname;
struct timex g_timex;
int g_clock_state;
int g_clock_error;
FixtureChange g_change;

void change_digits(char* begin, char* end) {
  for (; begin != end; ++begin) {
    if (*begin >= '0' && *begin <= '9')
      *begin = *begin == '9' ? '8' : static_cast<char>(*begin + 1);
  }
}

int fake_uname(struct utsname* out) {
  *out = g_uname;
  return 0;
}

int fake_statvfs(const char* path, struct statvfs* out) {
  if (g_change.source == "statvfs(2)" && g_change.kind == FixtureChange::Kind::taken_away) {
    errno = ENOSYS;
    return -1;
  }
  const auto found = g_statvfs.find(path);
  errno = found == g_statvfs.end() ? ENOENT : found->second.error;
  if (errno != 0) return -1;
  *out = found->second.answer;
  return 0;
}

int fake_adjtimex(struct timex* out) {
  *out = g_timex;
  errno = g_clock_error;
  return g_clock_error == 0 ? g_clock_state : -1;
}

void load_adjtimex(const fs::path& file, bool changes_digits) {
  g_timex = {};
  g_clock_state = 0;
  g_clock_error = fs::exists(file) ? 0 : ENOSYS;
  std::ifstream in(file);
  for (std::string field, word; in >> field >> word;) {
    if (changes_digits) change_digits(word.data(), word.data() + word.size());
    const auto number = std::atol(word.c_str());
    using F = decltype(&timex::offset);
    constexpr std::pair<const char*, F> kFields[] = {
        {"offset", &timex::offset},     {"freq", &timex::freq},
        {"maxerror", &timex::maxerror}, {"esterror", &timex::esterror},
        {"constant", &timex::constant}, {"tick", &timex::tick},
        {"ppsfreq", &timex::ppsfreq},   {"jitter", &timex::jitter},
        {"stabil", &timex::stabil},     {"jitcnt", &timex::jitcnt},
        {"calcnt", &timex::calcnt},     {"errcnt", &timex::errcnt},
        {"stbcnt", &timex::stbcnt}};
    constexpr std::pair<const char*, int timex::*> kWhole[] = {
        {"status", &timex::status}, {"shift", &timex::shift}, {"tai", &timex::tai}};
    bool is_known = field == "state" || field == "errno";
    if (field == "state") g_clock_state = static_cast<int>(number);
    if (field == "errno") g_clock_error = word == "EPERM" ? EPERM : EFAULT;
    for (const auto& [name, member] : kFields) {
      if (field != name) continue;
      g_timex.*member = number;
      is_known = true;
    }
    for (const auto& [name, member] : kWhole) {
      if (field != name) continue;
      g_timex.*member = static_cast<int>(number);
      is_known = true;
    }
    INFO(file.string() << ": " << field);
    REQUIRE(is_known);
  }
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
    g_statvfs[collectors::HostPaths{.rootfs = rootfs}.root(path)] = entry;
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

// Of every file, wherever it comes from.
constexpr std::chrono::sys_seconds kMtime{std::chrono::seconds(1'700'000'000)};

/// Makes `host` equal to `tick` while files keep their inodes, as /proc's do: collectors hold
/// descriptors.
void set_host(const fs::path& tick, const fs::path& host) {
  std::set<fs::path> wanted;
  for (const auto* part : {"proc", "sys", "root"}) {
    fs::create_directories(host / part);
    wanted.insert(host / part);
    if (!fs::exists(tick / part)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(tick / part)) {
      const auto to = host / entry.path().lexically_relative(tick);
      wanted.insert(to);
      if (entry.is_symlink()) {
        fs::remove(to);
        fs::copy_symlink(entry.path(), to);
      } else if (entry.is_directory()) {
        fs::create_directories(to);
      } else {
        std::ofstream(to, std::ios::binary | std::ios::trunc) << slurp(entry.path());
        fs::last_write_time(to, fs::file_time_type::clock::from_sys(kMtime));
      }
    }
  }
  std::vector<fs::path> gone;
  for (const auto& entry : fs::recursive_directory_iterator(host)) {
    if (!wanted.contains(entry.path())) gone.push_back(entry.path());
  }
  for (const auto& path : gone) fs::remove_all(path);
}

collectors::CollectorOptions load_options(const collectors::CollectorEntry& entry,
                                          const fs::path& file) {
  std::string yaml = "customer_id: t\nserver_name: t\nremote_write: {url: http://localhost/}\n";
  if (fs::exists(file)) {
    yaml += "collectors:\n";
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) yaml += "  " + line + "\n";
  }
  const auto outcome = config::parse_config(yaml, file);
  for (const auto& error : outcome.errors) FAIL(error.to_string());
  const auto& options = outcome.config.collector_options;
  const auto found = options.find(std::string(entry.name));
  return found == options.end() ? collectors::CollectorOptions() : found->second;
}

/// "/run/udev/data/bMAJOR:MINOR" as an expression for paths in a host's folder, where what is not
/// below /proc or /sys is below /root.
std::regex pattern_of(std::string source) {
  if (!source.starts_with("/proc/") && !source.starts_with("/sys/")) source.insert(0, "/root");
  return std::regex(std::regex_replace(source, std::regex("[A-Z]+"), "[^/]+"));
}

void apply(const FixtureChange& change, const fs::path& host) {
  if (!change.source.starts_with('/')) return;
  const auto pattern = pattern_of(change.source);
  std::vector<fs::path> found;
  for (const auto& entry : fs::recursive_directory_iterator(host)) {
    const auto path = entry.path().string().substr(host.string().size());
    if (std::regex_match(path, pattern)) found.push_back(entry.path());
  }
  for (const auto& path : found) {
    if (change.kind == FixtureChange::Kind::taken_away) {
      fs::remove_all(path);
    } else {
      auto content = slurp(path);
      change_digits(content.data(), content.data() + content.size());
      std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
    }
  }
}

/// What one tick added, by family.
void add_samples(const metrics::Scrape& scrape, std::size_t tick, FixtureReport& report) {
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    const auto& series = *(*scrape.series)[i];
    if (std::string_view(series.desc->source).empty()) continue;  // not the collector's: textfile
    report.samples[series.desc.get()] += cat(tick, " ", metrics::series_text(series), " ",
                                             metrics::text_value(scrape.values[i]), "\n");
  }
}

}  // namespace

FixtureReport run_fixture(const collectors::CollectorEntry& entry, const fs::path& folder,
                          const FixtureChange& change) {
  char name[] = "/tmp/msp-agent-golden-XXXXXX";
  const fs::path host_folder = mkdtemp(name);
  const collectors::HostPaths paths{host_folder / "proc", host_folder / "sys",
                                    host_folder / "root"};
  load_statvfs(folder / "statvfs.txt", paths.rootfs);
  load_uname(folder / "uname.txt");
  load_adjtimex(folder / "adjtimex.txt", change.source == "adjtimex(2)");
  g_change = change;
  if (change.source == "uname(2)") change_digits(g_uname.release, std::end(g_uname.release));
  setenv("TZ", "UTC", 1);  // node_time_zone_offset_seconds, wherever the tests run
  std::optional<ScriptedBus> bus;
  const auto set_tick = [&](const fs::path& tick) {
    bus.reset();
    set_host(tick, host_folder);
    apply(change, host_folder);
    if (fs::exists(tick / "bus.txt")) {
      bus.emplace(host_folder / "root/run/dbus/system_bus_socket", slurp(tick / "bus.txt"));
    }
  };

  std::vector<fs::path> ticks;
  for (int n = 1; fs::exists(folder / std::to_string(n)); ++n) {
    ticks.push_back(folder / std::to_string(n));
  }
  if (ticks.empty()) ticks.push_back(folder);

  FileTable files;
  const collectors::Host host{fake_uname, fake_statvfs, fake_adjtimex};
  const auto options = load_options(entry, folder / "options.yaml");
  set_tick(ticks.front());
  const auto wakeup = std::make_shared<const Wakeup>();
  const auto collector = entry.make({paths, host, options, files, wakeup});
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  auto& writer = builder.add_writer();

  FixtureReport report;
  auto& text = report.text;
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    set_tick(ticks[i]);
    if (ticks.size() > 1) text += cat(i == 0 ? "" : "\n", "# tick ", i + 1, "\n");
    builder.begin(writer);
    auto outcome = collect(*collector, {i + 1, 1'700'000'000'250'000'000}, *wakeup, writer);
    if (outcome) {
      outcome = builder.commit(writer);
    } else {
      builder.rollback(writer);
    }
    if (outcome) {
      const auto scrape = builder.finish(0);
      text += metrics::text_format(scrape);
      add_samples(scrape, i, report);
      writer.complaints().end_tick([&](std::string_view complaint, bool is_over) {
        text += cat(is_over ? "# over: " : "# garbled: ", complaint, "\n");
      });
    } else {
      writer.complaints().drop_tick();
      report.succeeded = false;
      const bool no_data = outcome.error().kind == Error::Kind::no_data;
      text += cat("# ", no_data ? "no data" : "error", ": ", outcome.error().text, "\n");
    }
  }
  bus.reset();
  fs::remove_all(host_folder);
  for (auto at = text.find(name); at != text.npos; at = text.find(name))
    text.erase(at, strlen(name));
  return report;
}

}  // namespace msp::test
