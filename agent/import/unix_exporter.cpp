#include "agent/import/unix_exporter.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "agent/base/regex.h"
#include "agent/base/text.h"
#include "collectors/registry.h"

namespace msp::import {
namespace {

/// What Alloy 1.19 collects on Linux where it is not told otherwise.
constexpr std::string_view kAlloyDefaults[] = {
    "arp",          "bcache",     "bonding",   "btrfs",
    "conntrack",    "cpu",        "cpufreq",   "diskstats",
    "dmi",          "edac",       "entropy",   "fibrechannel",
    "filefd",       "filesystem", "hwmon",     "infiniband",
    "ipvs",         "loadavg",    "mdadm",     "meminfo",
    "netclass",     "netdev",     "netstat",   "nfs",
    "nfsd",         "nvme",       "os",        "powersupplyclass",
    "pressure",     "rapl",       "schedstat", "sockstat",
    "softnet",      "stat",       "tapestats", "textfile",
    "thermal_zone", "time",       "timex",     "udp_queues",
    "uname",        "vmstat",     "xfs",       "zfs"};

bool is_ours(std::string_view name) {
  const auto entries = collectors::collector_registry();
  return std::any_of(entries.begin(), entries.end(),
                     [&](const collectors::CollectorEntry& entry) { return entry.name == name; });
}

/// The names of a list that are ours; the others are noted.
std::set<std::string> our_names(MappingReader& part, std::string_view key) {
  std::set<std::string> names;
  std::string others;
  for (const auto& name : part.texts(key)) {
    if (is_ours(name)) {
      names.insert(name);
    } else {
      others += cat(others.empty() ? "" : ", ", one_line(name));
    }
  }
  if (!others.empty()) part.left_out(key, cat(others, ": msp-agent has no such collector"));
  return names;
}

void convert_enabled(MappingReader& part, ConvertContext& context, ImportedConfig& imported) {
  std::set<std::string> defaults;
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.default_on) defaults.insert(std::string(entry.name));
  }
  const bool is_set = !part.all("set_collectors").empty();
  auto names = is_set ? our_names(part, "set_collectors") : defaults;
  if (!is_set) {
    std::string others, off;
    for (const auto& name : kAlloyDefaults) {
      auto& list = is_ours(name) ? off : others;
      if (!defaults.contains(std::string(name))) list += cat(list.empty() ? "" : ", ", name);
    }
    context.notes.left_out(
        part.at(),
        cat(part.name(), ": Alloy's default collectors that msp-agent ", "does not have: ", others,
            off.empty() ? "" : cat("; that it has off by default: ", off)));
  }
  // What we do not have and is switched off is as it was.
  for (const auto& name : part.texts("disable_collectors")) names.erase(name);
  names.merge(our_names(part, "enable_collectors"));  // in Alloy, too, this one wins
  if (names.empty()) {
    imported.collects_nothing = true;
    imported.why_nothing = cat(part.name(), ": msp-agent has none of its collectors");
    return context.notes.left_out(part.at(), imported.why_nothing);
  }
  if (names == defaults) return;
  const bool only_fewer =
      std::includes(defaults.begin(), defaults.end(), names.begin(), names.end());
  if (is_set || !only_fewer) {
    imported.enabled.emplace(names.begin(), names.end());
  } else {
    std::set_difference(defaults.begin(), defaults.end(), names.begin(), names.end(),
                        std::back_inserter(imported.disabled));
  }
}

/// The expressions of Alloy 1.19 for what it leaves out where it is not told otherwise, which are
/// those of node_exporter 1.10; ours leave out more. A '$' at the end needs no second one.
struct DefaultFilter {
  std::string_view collector;
  std::string_view exclude;
  std::string_view include;
  std::string_view regex;
};
constexpr DefaultFilter kAlloyFilters[] = {
    {"diskstats", "device_exclude", "device_include",
     "^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\\d+n\\d+p)\\d+$"},
    {"filesystem", "fs_types_exclude", "fs_types_include",
     "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|"
     "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|"
     "tracefs)$"},
    {"filesystem", "mount_points_exclude", "mount_points_include",
     "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+)($|/)"},
};

struct FilterKeys {
  std::string_view exclude;
  std::string_view include;
};

/// A pair of regular expressions, of which ours has one: where both are set, include wins in Alloy.
void convert_filter(MappingReader& part, const FilterKeys& keys,
                    std::map<std::string, std::string>& out) {
  for (const auto& [key, use] : {std::pair{keys.include, PatternUse::include},
                                 std::pair{keys.exclude, PatternUse::exclude}}) {
    const auto regex = part.text(key);
    if (!regex || (regex->empty() && use == PatternUse::include)) continue;
    if (const auto known = part.known(regex)) {
      if (const auto filter = make_filter(*known, use); !filter) {
        // The expression may come from the environment, and the reason shows of it.
        part.left_out(key, cat("no regular expression",
                               regex->find("${") == std::string::npos
                                   ? cat(": ", quoted(*regex), ", ", one_line(filter.error().text))
                                   : ""));
        continue;
      }
    }
    if (out.contains(std::string(keys.include))) {
      if (!regex->empty()) part.different(key, cat(keys.include, " is used in its place"));
      continue;
    }
    out.emplace(key, *regex);
  }
}

void convert_cpu(MappingReader part) {
  constexpr Explanation kKeys[] = {
      {"guest", Note::Kind::different, "msp-agent always sends node_cpu_guest_seconds_total"},
  };
  part.finish(kKeys);
}

void convert_filesystem(MappingReader part, ImportedConfig& imported) {
  auto& options = imported.collector_options["filesystem"];
  convert_filter(part, {"mount_points_exclude", "mount_points_include"}, options);
  convert_filter(part, {"fs_types_exclude", "fs_types_include"}, options);
  if (const auto timeout = part.duration("mount_timeout", "collectors.filesystem.mount_timeout")) {
    if (*timeout != "5s") options.emplace("mount_timeout", *timeout);
  }
  part.finish();
}

void convert_devices(MappingReader part, std::string_view collector, ImportedConfig& imported) {
  convert_filter(part, {"device_exclude", "device_include"},
                 imported.collector_options[std::string(collector)]);
  part.finish();
}

std::set<std::string> names_that_are_on(const ImportedConfig& imported) {
  std::set<std::string> names;
  if (imported.enabled) names.insert(imported.enabled->begin(), imported.enabled->end());
  for (const auto& entry : collectors::collector_registry()) {
    if (!imported.enabled && entry.default_on) names.emplace(entry.name);
  }
  for (const auto& name : imported.disabled) names.erase(name);
  return names;
}

bool is_on(const ImportedConfig& imported, std::string_view collector) {
  return names_that_are_on(imported).contains(std::string(collector));
}

/// So that the same devices and file systems are sent as before.
void write_default_filters(ImportedConfig& imported) {
  for (const auto& [collector, exclude, include, regex] : kAlloyFilters) {
    if (!is_on(imported, collector)) continue;
    auto& options = imported.collector_options[std::string(collector)];
    if (options.contains(std::string(exclude)) || options.contains(std::string(include))) continue;
    options.emplace(exclude, escape_dollars(regex));
  }
}

/// The host's own file systems under other paths: flags of ours, not keys.
void convert_paths(MappingReader& part) {
  struct Path {
    std::string_view key;
    std::string_view flag;
    std::string_view usual;
  };
  constexpr Path kPaths[] = {{"procfs_path", "--path.procfs", "/proc"},
                             {"sysfs_path", "--path.sysfs", "/sys"},
                             {"rootfs_path", "--path.rootfs", "/"}};
  for (const auto& [key, flag, usual] : kPaths) {
    const auto path = part.text(key);
    if (!path || *path == usual) continue;
    part.to_do(key,
               cat("a flag of msp-agent, not a key: run it with ", flag, "=", one_line(*path)));
  }
}

}  // namespace

void add_unix_exporter(const Setting& exporter, std::string_view id, ConvertContext& context,
                       ImportedConfig& imported) {
  ImportedConfig second;
  convert_unix_exporter(exporter, context, second);
  auto names = names_that_are_on(imported);
  std::string added;
  for (const auto& name : names_that_are_on(second)) {
    if (second.collects_nothing || !names.insert(name).second) continue;
    imported.collector_options[name] = second.collector_options[name];
    added += cat(added.empty() ? "" : ", ", name);
  }
  if (!added.empty()) {
    imported.enabled.emplace(names.begin(), names.end());
    imported.disabled.clear();
  }
  context.notes.left_out(
      exporter.at,
      cat(one_line(id), ": a second exporter; msp-agent has one set of collectors, with the ",
          "interval and the options of the first",
          added.empty() ? "" : cat("; what only this one has is added to it: ", added)));
}

void offer_uptime(ConvertContext& context, const ImportedConfig& imported) {
  if (imported.collects_nothing || is_on(imported, "stat")) return;
  context.notes.different(
      {}, cat("collectors: without stat there is no node_boot_time_seconds, as before: "
              "panels of uptime stay empty, and no alert sees a reboot; ",
              imported.enabled ? "add stat to collectors.enabled"
                               : "remove stat from collectors.disabled"));
}

void convert_unix_exporter(const Setting& exporter, ConvertContext& context,
                           ImportedConfig& imported) {
  MappingReader part(&exporter, "prometheus.exporter.unix", context);
  convert_enabled(part, context, imported);
  convert_paths(part);
  convert_cpu(part.part("cpu"));
  convert_filesystem(part.part("filesystem"), imported);
  convert_devices(part.part("netdev"), "netdev", imported);
  auto textfile = part.part("textfile");
  if (const auto directory = textfile.file_path("directory")) {
    imported.collector_options["textfile"].emplace("directories", *directory);
  }
  textfile.finish();
  convert_devices(part.part("disk"), "diskstats", imported);
  convert_devices(part.part("diskstats"), "diskstats", imported);
  write_default_filters(imported);
  if (is_on(imported, "netdev") && imported.collector_options["netdev"].empty()) {
    context.notes.different(
        part.at(),
        "netdev: msp-agent leaves out the devices of containers (veth, cali and "
        "lxc with hexadecimal digits); to send them all as before: "
        "collectors.netdev.device_exclude: ''");
  }
  if (is_on(imported, "netclass")) {
    context.notes.different(part.at(),
                            "netclass: msp-agent sends up, carrier, MTU and speed of a device; to "
                            "send all as before: collectors.netclass.full: true");
  }
  constexpr Explanation kKeys[] = {
      {"include_exporter_metrics", Note::Kind::different,
       "msp-agent always reports on itself, as msp_agent_*"},
      {"udev_data_path", Note::Kind::different, "msp-agent reads it below --path.rootfs"},
  };
  part.finish(kKeys);
}

}  // namespace msp::import
