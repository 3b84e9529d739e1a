#include "agent/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/config/document.h"
#include "agent/config/endpoint.h"
#include "agent/config/mapping.h"
#include "agent/config/pattern.h"
#include "agent/core/file.h"
#include "agent/core/text.h"
#include "collectors/registry.h"

namespace msp {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::uint64_t kBufferBytesMin = 1 << 20;

// node_exporter 1.12's defaults, netdev's excepted: it sends all devices.
constexpr char kMountPointsExclude[] =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
constexpr char kFsTypesExclude[] =
    "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|"
    "mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|"
    "tracefs)$";
constexpr char kDiskstatsExclude[] = R"(^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$)";
constexpr char kNetdevExclude[] = "^(veth|cali|lxc)";

bool is_customer_id(std::string_view id) {
  const auto is_letter_or_digit = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  };
  return !id.empty() && id.size() <= 63 && is_letter_or_digit(id.front()) &&
         is_letter_or_digit(id.back()) && std::all_of(id.begin(), id.end(), [&](char c) {
           return is_letter_or_digit(c) || c == '-';
         });
}

bool is_label_name(std::string_view name) {
  return !name.empty() && std::isdigit(static_cast<unsigned char>(name[0])) == 0 &&
         std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return c < 0x80 && (std::isalnum(c) != 0 || c == '_');
         });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

void read_identity(Mapping& top, Config& config) {
  top.text("customer_id", config.customer_id);
  if (config.customer_id.empty()) {
    top.wrong("customer_id", "is required: whose server this is, such as alpha");
  } else if (!is_customer_id(config.customer_id)) {
    top.wrong("customer_id", cat("'", config.customer_id,
                                 "' is not 1 to 63 of a-z, 0-9 and '-', beginning and ending with "
                                 "a letter or digit"));
  }
  config.host_name = host_name();
  config.server_name = config.host_name;
  top.text("server_name", config.server_name);
  if (config.server_name.empty()) {
    top.wrong("server_name", "is empty, and so is the host name: give this server a name");
  } else if (has_control(config.server_name)) {
    top.wrong("server_name", "must not hold control characters");
  }
  top.text("environment", config.environment);
  for (const auto& [name, place, value] : top.entries("labels")) {
    const auto key = cat("labels.", name);
    if (!is_label_name(name)) {
      top.wrong_at(place, key, "is not a label name: letters, digits and _, no digit in front");
    } else if (name.starts_with("__") || name == "customer_id" || name == "server_name" ||
               name == "environment") {
      top.wrong_at(place, key,
                   name.starts_with("__") ? std::string("names that begin with __ are reserved")
                                          : cat("set it with the key ", name, " instead"));
    } else if (has_control(value.text)) {
      top.wrong_at(value.place, key, "must not hold control characters");
    } else {
      config.labels.push_back({name, value.text});
    }
  }
}

/// `name`_exclude or `name`_include, not both; neither means the default.
Filter read_filter(Mapping& keys, const std::string& name, const char* default_exclude) {
  std::string exclude = default_exclude;
  std::string include;
  const auto exclude_key = name + "_exclude";
  const auto include_key = name + "_include";
  keys.text(exclude_key, exclude);
  keys.text(include_key, include);
  const bool is_include = keys.has(include_key);
  if (is_include && keys.has(exclude_key)) {
    keys.wrong(include_key, cat("give ", exclude_key, " or ", include_key, ", not both"));
  }
  auto filter = is_include ? including(include) : excluding(exclude);
  if (filter) return *filter;
  keys.wrong(is_include ? include_key : exclude_key, filter.error().text);
  return [](std::string_view) { return true; };
}

bool is_known_collector(Mapping& keys, std::string_view key, const std::string& name) {
  std::vector<std::string_view> known;
  for (const auto& entry : collector_registry()) known.push_back(entry.name);
  if (std::find(known.begin(), known.end(), name) != known.end()) return true;
  const auto meant = nearest(name, known);
  keys.wrong(key, cat("there is no collector '", name, "'",
                      meant.empty() ? std::string("; 'msp-agent collectors' lists them")
                                    : cat("; did you mean ", meant, "?")));
  return false;
}

void read_collectors(Mapping& top, Config& config) {
  auto keys = top.mapping("collectors");
  std::vector<std::string> enabled;
  for (const auto& entry : collector_registry()) {
    if (entry.default_on) enabled.emplace_back(entry.name);
  }
  std::vector<std::string> disabled;
  keys.texts("enabled", enabled);
  keys.texts("disabled", disabled);
  for (const auto& name : enabled) is_known_collector(keys, "enabled", name);
  for (const auto& name : disabled) is_known_collector(keys, "disabled", name);
  for (const auto& entry : collector_registry()) {
    const auto names = [&](const auto& list) {
      return std::find(list.begin(), list.end(), entry.name) != list.end();
    };
    if (names(enabled) && !names(disabled)) config.collectors.emplace_back(entry.name);
  }

  auto& options = config.collector_options;
  auto filesystem = keys.mapping("filesystem");
  options.filesystem.mount_points = read_filter(filesystem, "mount_points", kMountPointsExclude);
  options.filesystem.fs_types = read_filter(filesystem, "fs_types", kFsTypesExclude);
  filesystem.duration("mount_timeout", milliseconds(10), hours(1), "10ms to 1h, such as 5s",
                      options.filesystem.mount_timeout);
  filesystem.refuse_unknown();
  auto diskstats = keys.mapping("diskstats");
  options.diskstats_devices = read_filter(diskstats, "device", kDiskstatsExclude);
  diskstats.refuse_unknown();
  auto netdev = keys.mapping("netdev");
  options.netdev_devices = read_filter(netdev, "device", kNetdevExclude);
  netdev.refuse_unknown();
  keys.refuse_unknown();
}

void read_buffer(Mapping& top, Config& config) {
  auto keys = top.mapping("buffer");
  auto& buffer = config.buffer;
  keys.text("path", buffer.path);
  if (!buffer.path.starts_with('/') || has_control(buffer.path)) {
    keys.wrong("path", cat("'", buffer.path, "' is not an absolute path"));
  }
  while (buffer.path.size() > 1 && buffer.path.ends_with('/')) buffer.path.pop_back();
  keys.size("max_size", kBufferBytesMin, "1MiB or more, such as 256MiB", buffer.bytes_max);
  keys.duration("max_age", std::chrono::minutes(1), days(3650), "1m to 3650d, such as 7d",
                buffer.age_max);
  keys.size("min_free", 0, "0 or more, such as 512MiB", buffer.free_bytes_min);
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  const std::string_view folders = runtime != nullptr ? runtime : "";
  buffer.head_path = folders.empty() ? buffer.path : folders.substr(0, folders.find(':'));
  keys.refuse_unknown();
}

void read_log(Mapping& top, Config& config) {
  auto keys = top.mapping("log");
  auto level = static_cast<std::size_t>(config.log_level);
  keys.choice("level", {"debug", "info", "warning", "error"}, level);
  config.log_level = static_cast<LogLevel>(level);
  keys.refuse_unknown();
}

bool holds_inline_secret(const Config& config) {
  return std::any_of(config.endpoints.begin(), config.endpoints.end(), [](const auto& endpoint) {
    return !endpoint.password.empty() || !endpoint.bearer_token.empty();
  });
}

}  // namespace

std::string ConfigError::to_string() const {
  if (line == 0) return cat(file, ": ", text);
  return cat(file, ":", line, ":", column, ": ", text);
}

TargetLabels Config::target_labels() const {
  TargetLabels target;
  target.forced = {{"customer_id", customer_id}, {"server_name", server_name}};
  target.defaults = labels;  // the earlier of two equal names wins: labels may set job and instance
  target.defaults.push_back({"environment", environment});
  target.defaults.push_back({"instance", host_name});
  target.defaults.push_back({"job", "node"});
  return target;
}

ConfigOutcome parse_config(const std::string& text, const std::string& file) {
  ConfigOutcome outcome;
  auto& config = outcome.config;
  Value root;
  auto problems = parse_document(text, root);
  if (problems.empty() && root.kind == Value::Kind::nothing) {
    problems.push_back({{}, "is empty; customer_id and remote_write are required"});
  }
  if (problems.empty()) {
    Mapping top(&root, "", problems);
    if (root.kind == Value::Kind::mapping) {
      read_identity(top, config);
      top.duration("interval", seconds(1), hours(1), "1s to 1h, such as 15s", config.interval);
      config.collector_options.interval = config.interval;
      read_collectors(top, config);
      config.endpoints = read_endpoints(top, problems, outcome.warnings);
      read_buffer(top, config);
      read_log(top, config);
      top.refuse_unknown();
    }
  }
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
  });
  for (const auto& problem : problems) {
    outcome.errors.push_back({file, problem.place.line, problem.place.column, problem.text});
  }
  return outcome;
}

ConfigOutcome load_config(const std::string& path) {
  const auto text = read_file(path, kFileBytesMax);
  if (!text) {
    ConfigOutcome outcome;
    outcome.errors.push_back({path, 0, 0,
                              cat(text.error().text,
                                  "; --config names another file; a file needs at least "
                                  "customer_id and remote_write: {url: ..}")});
    return outcome;
  }
  auto outcome = parse_config(*text, path);
  struct stat status {};
  if (holds_inline_secret(outcome.config) && ::stat(path.c_str(), &status) == 0 &&
      (status.st_mode & S_IROTH) != 0) {
    outcome.warnings.push_back(
        cat(path, ": holds a secret, and everybody on this host can read it; chmod 640 it"));
  }
  return outcome;
}

}  // namespace msp
