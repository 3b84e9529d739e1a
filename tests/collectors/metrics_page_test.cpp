// docs/metrics.md is made here, of what the collectors report of all fixtures and of what the agent
// reports of itself. MSP_UPDATE_GOLDEN=1 writes it anew: read the difference before you keep it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <regex>
#include <set>

#include "agent/base/text.h"
#include "agent/cli/endpoint_check.h"
#include "agent/delivery/encode/request_v2.h"
#include "agent/delivery/order_test.h"
#include "agent/run/self_metrics.h"
#include "agent/sources/exporter.h"
#include "agent/sources/host.h"
#include "agent/sources/probe/metrics.h"
#include "tests/support/fixture_host.h"

namespace fs = std::filesystem;

namespace msp::test {
namespace {

struct ByName {
  bool operator()(const metrics::MetricDesc* a, const metrics::MetricDesc* b) const {
    return a->name < b->name;
  }
};
using Families = std::set<const metrics::MetricDesc*, ByName>;

constexpr std::string_view kIntroduction =
    R"(# Metrics

What msp-agent sends. Names, labels, types, HELP and values are those of node_exporter 1.12, except for
`node_uptime_seconds`, which node_exporter does not have, and the agent's own metrics. Every sample also has these
labels: `customer_id`, `server_name`, `environment` and those under `labels`, as [configured](configuration.md),
`instance` (the host name) and `job` ("node").

No host has all of these metrics: `msp-agent --dry-run` prints what yours has. Paths are the host's, also where
`--path.procfs`, `--path.sysfs` and `--path.rootfs` name other folders; capital letters stand for a name or a number. A
gauge with the unit "always 1" carries its information in its labels; "0 or 1" is no or yes.

- If the kernel has garbled a value, that value is left out, and the log has a line.
- If a collector fails, its samples of that tick are left out, and `node_scrape_collector_success` is 0; the others go
  on.
- If a mount hangs, only that mount's values are missing.
- If a device is gone, its series end with a stale marker.
- If a collector has no data, because the host does not have what it reads, it is asked again after a minute; btrfs,
  thermal_zone, watchdog and xfs also where they find no device.

Collectors that may cost a host much more than the others are called costly here. They are asked every
`collectors.costly_interval` (60 s), not at each tick, because they wait for a device, for firmware or for a lock of the
kernel, or read a file for each process, socket or device. A query over their counters must look back for more than
two of these intervals. `msp-agent collectors` shows what each collector, on or off, costs on your host and how many
series it has there, and [Cost](cost.md) what they cost on large ones.

Different from node_exporter on purpose:

- `node_btrfs_device_errors_total` is read from /sys, which kernel 5.14 and later have. It has the label `devid`, as
  `btrfs filesystem show` lists it, and no `btrfs_dev_uuid`; `device` is there where the file system has one device.
  Those two, and `node_btrfs_device_unused_bytes`, which is not sent, need ioctls that wait for a disk that hangs.
- timex has no data in the [shipped unit](installing.md), whose `ProtectClock=` refuses adjtimex(2).
- mountstats reads the NFS mounts that the agent's own mount namespace has. A counter that a protocol does not have is
  left out, not 0, and so is a mount without an address.
- logind is not there: only its service knows seats and sessions, and tells them over D-Bus, a call for each session, in
  which the service may hang. `collectors.systemd` shows whether systemd-logind.service runs.

This page is made from the code: `MSP_UPDATE_GOLDEN=1 build/dev/tests/collector_tests` writes it, and a test compares.
)";

// Where neither the name nor its ending tells what a value counts.
constexpr std::pair<std::string_view, std::string_view> kUnits[] = {
    {"container_last_seen", "seconds since 1970"},
    {"container_memory_cache", "bytes"},
    {"container_memory_mapped_file", "bytes"},
    {"container_memory_rss", "bytes"},
    {"container_memory_swap", "bytes"},
    {"container_spec_cpu_period", "microseconds"},
    {"container_spec_cpu_quota", "microseconds in a period"},
    {"container_spec_cpu_shares", "a weight, 1024 by default"},
    {"container_start_time_seconds", "seconds since 1970"},
    {"msp_agent_buffer_free_space_guard", "0 or 1"},
    {"msp_agent_buffer_memory_fallback", "0 or 1"},
    {"msp_agent_check", "always 1"},
    {"msp_agent_endpoint_last_success_timestamp_seconds", "seconds since 1970"},
    {"msp_agent_endpoint_up", "0 or 1"},
    {"msp_agent_probe", "always 1"},
    {"msp_agent_textfile_error", "always 1"},
    {"node_boot_time_seconds", "seconds since 1970"},
    {"node_cgroups_enabled", "0 or 1"},
    {"node_cooling_device_cur_state", "step"},
    {"node_cooling_device_max_state", "step"},
    {"node_cpu_isolated", "always 1"},
    {"node_cpu_online", "0 or 1"},
    {"node_cpu_scaling_governor", "0 or 1"},
    {"node_disk_ata_rotation_rate_rpm", "rotations per minute"},
    {"node_disk_ata_write_cache", "0 or 1"},
    {"node_disk_ata_write_cache_enabled", "0 or 1"},
    {"node_disk_discarded_sectors_total", "sectors of 512 bytes"},
    {"node_entropy_available_bits", "bits"},
    {"node_entropy_pool_size_bits", "bits"},
    {"node_filesystem_device_error", "0 or 1"},
    {"node_filesystem_readonly", "0 or 1"},
    {"node_hwmon_beep_enabled", "0 or 1"},
    {"node_hwmon_chip_names", "always 1"},
    {"node_hwmon_sensor_label", "always 1"},
    {"node_ksmd_merge_across_nodes", "0 or 1"},
    {"node_ksmd_pages_shared", "pages"},
    {"node_ksmd_pages_sharing", "pages"},
    {"node_ksmd_pages_to_scan", "pages"},
    {"node_ksmd_pages_unshared", "pages"},
    {"node_ksmd_pages_volatile", "pages"},
    {"node_ksmd_run", "0, 1 or 2"},
    {"node_md_blocks", "KiB"},
    {"node_md_blocks_synced", "KiB"},
    {"node_md_state", "0 or 1"},
    {"node_memory_HugePages_Free", "pages"},
    {"node_memory_HugePages_Rsvd", "pages"},
    {"node_memory_HugePages_Surp", "pages"},
    {"node_memory_HugePages_Total", "pages"},
    {"node_netstat_Ip6_InOctets", "bytes"},
    {"node_netstat_Ip6_OutOctets", "bytes"},
    {"node_netstat_IpExt_InOctets", "bytes"},
    {"node_netstat_IpExt_OutOctets", "bytes"},
    {"node_netstat_Ip_Forwarding", "1: yes, 2: no"},
    {"node_network_address_assign_type", "a code of the kernel"},
    {"node_network_carrier", "0 or 1"},
    {"node_network_device_id", "number"},
    {"node_network_dormant", "0 or 1"},
    {"node_network_flags", "bits"},
    {"node_network_iface_id", "number"},
    {"node_network_iface_link", "number"},
    {"node_network_iface_link_mode", "a code of the kernel"},
    {"node_network_name_assign_type", "a code of the kernel"},
    {"node_network_net_dev_group", "number"},
    {"node_network_protocol_type", "a code of the kernel"},
    {"node_network_transmit_queue_length", "packets"},
    {"node_network_up", "0 or 1"},
    {"node_nfsd_disk_bytes_read_total", "bytes"},
    {"node_nfsd_disk_bytes_written_total", "bytes"},
    {"node_nfsd_read_ahead_cache_size_blocks", "blocks"},
    {"node_os_support_end_timestamp_seconds", "seconds since 1970"},
    {"node_os_version", "version"},
    {"node_power_supply_authentic", "0 or 1"},
    {"node_power_supply_calibrate", "0 or 1"},
    {"node_power_supply_capacity", "percent"},
    {"node_power_supply_capacity_alert_max", "percent"},
    {"node_power_supply_capacity_alert_min", "percent"},
    {"node_power_supply_online", "0, 1 or 2"},
    {"node_power_supply_present", "0 or 1"},
    {"node_scrape_collector_success", "0 or 1"},
    {"node_selinux_config_mode", "-1 to 1"},
    {"node_selinux_current_mode", "0 or 1"},
    {"node_selinux_enabled", "0 or 1"},
    {"node_sockstat_FRAG6_memory", "bytes"},
    {"node_sockstat_FRAG_memory", "bytes"},
    {"node_sockstat_TCP_mem", "pages"},
    {"node_sockstat_UDP_mem", "pages"},
    {"node_systemd_system_running", "0 or 1"},
    {"node_systemd_unit_state", "0 or 1"},
    {"node_systemd_version", "version"},
    {"node_textfile_mtime_seconds", "seconds since 1970"},
    {"node_textfile_scrape_error", "0 or 1"},
    {"node_thermal_zone_temp", "celsius"},
    {"node_time_seconds", "seconds since 1970"},
    {"node_timex_loop_time_constant", "exponent"},
    {"node_timex_status", "bits"},
    {"node_timex_sync_status", "0 or 1"},
    {"node_udp_queues", "bytes"},
    {"node_vmstat_pgpgin", "KiB"},
    {"node_vmstat_pgpgout", "KiB"},
    {"node_vmstat_pswpin", "pages"},
    {"node_vmstat_pswpout", "pages"},
    {"node_watchdog_access_cs0", "0 or 1"},
    {"node_watchdog_bootstatus", "bits"},
    {"node_watchdog_fw_version", "version"},
    {"node_watchdog_nowayout", "0 or 1"},
    {"up", "always 1"},
};

std::string_view unit_shown(std::string_view name) {
  for (const auto& [known, unit] : kUnits) {
    if (known == name) return unit;
  }
  if (name.ends_with("_info")) return "always 1";
  // Their names have no unit.
  if (name.starts_with("node_zoneinfo_") && !name.ends_with("_stacks")) return "pages";
  if (name.starts_with("node_memory_numa_")) {
    const bool is_bytes = !name.ends_with("_total") && name.find("HugePages_") == name.npos;
    return is_bytes ? "bytes" : "pages";
  }
  if (name.starts_with("node_power_supply_")) {
    constexpr std::pair<std::string_view, std::string_view> kQuantities[] = {
        {"temp", "celsius"},         {"time", "seconds"},     {"voltage", "volts"},
        {"charge_voltage", "volts"}, {"current", "amperes"},  {"energy", "watt hours"},
        {"power_watt", "watts"},     {"cyclecount", "count"}, {"charge_control", "millionths"},
        {"charge", "ampere hours"},
    };
    const auto rest = name.substr(std::string_view("node_power_supply_").size());
    for (const auto& [part, unit] : kQuantities) {
      if (rest.find(part) != rest.npos) return unit;
    }
  }
  if (name.starts_with("node_hwmon_")) {
    if (name.ends_with("_alarm") || name.ends_with("_fault") || name.ends_with("_beep_enabled")) {
      return "0 or 1";
    }
    if (name.ends_with("_rpm")) return "rotations per minute";
    if (name.ends_with("_watt")) return "watts";
    if (name.ends_with("_amps")) return "amperes";
    if (name.ends_with("_joule_total")) return "joules";
    if (name.ends_with("_mhz")) return "megahertz";
    if (name.find("_humidity") != name.npos || name.ends_with("_accuracy")) return "ratio";
  }
  const auto unit = delivery::unit_of(name);
  return unit.empty() ? "count" : unit;
}

std::string as_cell(std::string_view text) {
  return std::regex_replace(std::string(text), std::regex("[|<]"), "\\$&");
}

/// "cpu,mode" as "`cpu`, `mode`".
std::string as_code(std::string_view names) {
  if (names.empty()) return {};
  return "`" + std::regex_replace(std::string(names), std::regex(", ?"), "`, `") + "`";
}

/// Paths are code, "the agent" is not.
std::string as_places(std::string_view source) {
  return std::regex_replace(std::string(source), std::regex("/[^,]+"), "`$&`");
}

std::string table(const Families& families) {
  std::string text = "| metric | labels | type | unit | read from | HELP |\n";
  text += "| --- | --- | --- | --- | --- | --- |\n";
  for (const auto* family : families) {
    const auto type = metrics::metric_type_name(family->type);
    text += cat("| ", as_code(family->name), " | ", as_code(family->label_names), " | ", type,
                " | ", unit_shown(family->name), " | ", as_places(family->source), " | ",
                as_cell(family->help), " |\n");
  }
  return text;
}

struct Fixture {
  fs::path folder;
  std::map<const metrics::MetricDesc*, std::string> samples;
};
using Fixtures = std::vector<Fixture>;

/// All of a collector's, run once.
const Fixtures& fixtures_of(const collectors::CollectorEntry& entry) {
  static std::map<std::string_view, Fixtures> known;
  auto& fixtures = known[entry.name];
  if (!fixtures.empty()) return fixtures;
  for (const auto& folder : fs::directory_iterator(fs::path(FIXTURES) / std::string(entry.name))) {
    fixtures.push_back({folder.path(), run_fixture(entry, folder.path()).samples});
  }
  return fixtures;
}

Families families_of(const collectors::CollectorEntry& entry) {
  Families families;
  for (const auto& fixture : fixtures_of(entry)) {
    for (const auto& [family, samples] : fixture.samples) families.insert(family);
  }
  return families;
}

/// What a scrape holds beside its collectors' samples, and what is not sent at a tick.
Families own_families(const Families& collected) {
  delivery::AgentStats stats;
  stats.endpoints.emplace_back("https://monitor.example.com/api/v1/write").clock_ahead_s = 0;
  run::SelfMetrics self(stats, nullptr);
  const auto received = std::make_shared<relay::ReceiverStats>();
  received->clients.emplace_back().name = "alpha";
  self.set_received(received);
  sources::HostSource::Setup setup;
  setup.collectors = {"uname"};
  setup.self_samples = [&](metrics::SeriesWriter& out) { self.add_to(out); };
  sources::HostSource host(std::move(setup));
  Wakeup wakeup;
  Families families{&cli::kCheck, &delivery::kProbe, &sources::kScrapeBadLines};
  const auto scrape = sources::scrape_now(host, {1, 0}, wakeup);
  for (const auto& series : *scrape.series) {
    if (!collected.contains(series->desc.get())) families.insert(series->desc.get());
  }
  return families;
}

std::string about_cost(const collectors::CollectorEntry& entry) {
  if (entry.type.costly.empty()) return {};
  return cat("Costly, every 60 s: ", entry.type.costly, ".\n\n");
}

struct Page {
  std::string text{kIntroduction};
  Families families;  // all that are in it
};

Page make_page() {
  Page page;
  for (const auto& entry : collectors::collector_registry()) {
    const auto families = families_of(entry);
    page.text += cat("\n## ", entry.name, "\n\n", entry.default_on ? "" : "Off by default.\n\n",
                     about_cost(entry), table(families));
    page.families.insert(families.begin(), families.end());
  }
  const Families probes(std::begin(sources::probe_metrics::kAll),
                        std::end(sources::probe_metrics::kAll));
  page.text +=
      cat("\n## Probes\n\n",
          "Of each probe of the configuration, with blackbox_exporter's names and meanings; "
          "`probe_http_*` of the module\nhttp, `probe_icmp_*` of icmp, `probe_dns_*` of dns, "
          "`probe_ssl_*` and "
          "`probe_tls_*` where a TLS "
          "handshake succeeded. Not sent: `probe_ssl_last_chain_info`, whose\nlabels would "
          "begin a new series with each certificate, and what belongs to modules that are "
          "not there.\n[Probes](probes.md) has the differences.\n\n",
          table(probes));
  page.families.insert(probes.begin(), probes.end());
  const auto own = own_families(page.families);
  page.text += cat("\n## The agent itself\n\n",
                   "These show what each endpoint accepted, refused and still waits for, what the "
                   "buffer holds and has lost,\nand what the agent costs. `msp_agent_check` and "
                   "`msp_agent_probe` are sent only for a check or a test,\n"
                   "`msp_agent_scrape_bad_lines` for a target that has such lines, "
                   "`msp_agent_received_*` by a relay, the others\nat each tick.\n\n",
                   table(own));
  page.families.insert(own.begin(), own.end());
  return page;
}

/// The first line in which they differ; empty where they do not.
std::string difference(std::string_view is, std::string_view must) {
  for (int number = 1; !is.empty() || !must.empty(); ++number) {
    const auto is_line = next_line(is);
    const auto must_line = next_line(must);
    if (is_line == must_line) continue;
    return cat("line ", number, " is '", is_line.value_or("missing"), "', must be '",
               must_line.value_or("nothing"), "'");
  }
  return {};
}

bool knows(const Families& families, std::string_view name) {
  const metrics::MetricDesc wanted{.name = name, .help = {}, .source = {}};
  return families.contains(&wanted);
}

}  // namespace

TEST_CASE("docs/metrics.md is what the code says", "[golden]") {
  const auto file = fs::path(TREE) / "docs/metrics.md";
  const auto page = make_page();
  if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) std::ofstream(file) << page.text;
  INFO("MSP_UPDATE_GOLDEN=1 build/dev/tests/collector_tests writes it anew");
  CHECK(difference(slurp(file), page.text) == "");
  for (const auto* family : page.families) {
    INFO(family->name << " does not say what it is read from");
    CHECK_FALSE(family->source.empty());
  }
  for (const auto& [name, unit] : kUnits) {
    INFO("kUnits has a metric that is not there: " << name);
    CHECK(knows(page.families, name));
  }
}

TEST_CASE("kFamilyLabelsMax is the most labels that a metric has") {
  std::size_t most = 0;
  for (const auto* family : make_page().families) {
    const auto& names = family->label_names;
    const auto commas = std::count(names.begin(), names.end(), ',');
    if (!names.empty()) most = std::max(most, static_cast<std::size_t>(commas) + 1);
  }
  CHECK(metrics::kFamilyLabelsMax == most);
}

TEST_CASE("every metric that the code names is in docs/metrics.md") {
  const auto page = slurp(fs::path(TREE) / "docs/metrics.md");
  const std::regex name("\"((?:node_(?!exporter\")|msp_agent_)\\w*[a-zA-Z0-9])\"");
  std::size_t found = 0;
  for (const auto* part : {"agent", "collectors"}) {
    for (const auto& file : fs::recursive_directory_iterator(fs::path(TREE) / part)) {
      if (!file.is_regular_file()) continue;
      const auto code = slurp(file.path());
      for (std::sregex_iterator at(code.begin(), code.end(), name), end; at != end; ++at) {
        ++found;
        INFO(file.path().string() << ": no fixture shows " << (*at)[1]);
        CHECK(page.find("| `" + (*at)[1].str() + "` |") != page.npos);
      }
    }
  }
  CHECK(found > 100);
}

TEST_CASE("every metric is read from where docs/metrics.md says") {
  // Not the clock and the time zone of this process, which cannot be changed.
  const std::regex place("/[^,]+|adjtimex\\(2\\)|statvfs\\(2\\)|uname\\(2\\)");
  using Kind = FixtureChange::Kind;
  for (const auto& entry : collectors::collector_registry()) {
    std::map<std::string, Families> unproven;  // by place
    for (const auto* family : families_of(entry)) {
      const std::string source(family->source);
      for (std::sregex_iterator at(source.begin(), source.end(), place), end; at != end; ++at) {
        unproven[at->str()].insert(family);
      }
    }
    for (auto& [from, families] : unproven) {
      for (const auto kind : {Kind::taken_away, Kind::other_digits}) {
        for (const auto& fixture : fixtures_of(entry)) {
          if (families.empty()) break;
          const auto changed = run_fixture(entry, fixture.folder, {kind, from});
          if (!changed.succeeded) continue;  // then all of its metrics are gone
          for (const auto& [family, samples] : fixture.samples) {
            const auto found = changed.samples.find(family);
            const bool is_same = found != changed.samples.end() && found->second == samples;
            if (!is_same) families.erase(family);
          }
        }
      }
      for (const auto* family : families) {
        FAIL_CHECK(family->name << " stays the same in every fixture, whatever is in " << from);
      }
    }
  }
}

}  // namespace msp::test
