#include "agent/config/config.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/config/collector_config.h"
#include "agent/config/diagnostics.h"
#include "agent/config/document.h"
#include "agent/config/endpoint_config.h"
#include "agent/config/section.h"
#include "agent/config/snippet.h"
#include "agent/config/validators.h"

namespace msp {
namespace {

using namespace std::chrono_literals;

/// A label's name as near to `name` as there is one.
std::string label_like(std::string_view name) {
  std::string like = name.empty() ? "region" : printable(name);
  std::replace_if(
      like.begin(), like.end(),
      [](char c) {
        return !is_label_name({&c, 1}) && (c < '0' || c > '9');
      },
      '_');
  return is_label_name(like) && like != kMetricName ? like : cat("_", like);
}

std::string host_name() {
  struct utsname host {};
  return ::uname(&host) == 0 ? host.nodename : "";
}

void read_identity(Section& top, Config& out) {
  constexpr std::string_view kIdAccepted =
      "1 to 63 characters a-z, 0-9 and '-', the first and last not '-', such as customer_id: alpha";
  const auto id = top.text("customer_id", kIdAccepted);
  if (id && is_customer_id(id->text)) {
    out.customer_id = id->text;
  } else if (id && !id->text.empty()) {
    top.reject("customer_id", shown(id->text), kIdAccepted);
  } else if (id || !top.has("customer_id")) {
    top.reject("customer_id", "nothing", kIdAccepted);
  }

  constexpr std::string_view kNameAccepted = "1 to 255 bytes of text";
  out.host_name = host_name();
  out.server_name = out.host_name;
  if (const auto name = top.text("server_name", kNameAccepted); name && !name->text.empty()) {
    out.server_name = name->text;
    if (name->text.size() > kNameBytesMax) {
      top.reject("server_name", shown(name->text), kNameAccepted);
    }
  } else if (out.server_name.empty()) {
    top.reject("server_name", "nothing, and the host has no name", kNameAccepted);
  }
  if (const auto environment = top.text("environment", kNameAccepted)) {
    out.environment = environment->text;
    if (environment->text.size() > kNameBytesMax) {
      top.reject("environment", shown(environment->text), kNameAccepted);
    }
  }
}

void read_labels(Section& top, Diagnostics& findings, Config& out) {
  constexpr std::size_t kLabelsMax = 64;  // more than any receiver takes
  if (!top.has_at_most(kLabelsMax, "labels", "labels")) return;
  auto section = top.section("labels");
  for (auto& [name, at, value] : section.pairs("a single value")) {
    const auto key = section.path(printable(name));
    if (!is_label_name(name)) {
      findings.reject(at, key, "a name that no label can have",
                      cat("letters, digits and '_', no digit first, such as ", label_like(name)));
    } else if (name == kMetricName || name == "customer_id" || name == "server_name") {
      findings.reject(at, key, "a label that is always set by the agent",
                      name == kMetricName ? std::string("any other name")
                                          : cat("the key ", name, " at the top of the file"));
    } else if (name == "environment" && !out.environment.empty()) {
      findings.reject(at, key, "the key environment at the top of the file as well",
                      "one of the two");
    } else if (value && value->text.size() > kLabelValueBytesMax) {
      findings.reject(value->at, key, cat(value->text.size(), " bytes"), "at most 1024 bytes");
    } else if (value && !value->text.empty()) {
      out.labels.push_back({name, value->text});
    }
  }
}

/// Receivers have a limit for the labels of a series, and VictoriaMetrics drops those beyond it
/// without a word to who sent them.
void warn_of_many_labels(Section& top, const std::string& file, ConfigOutcome& out) {
  constexpr std::size_t kUsualLimit = 30;  // VictoriaMetrics before 1.108, Mimir; later ones 40
  const auto target = out.config.target_labels();
  // Beside them the metric's name, which is a label, too.
  const auto most = 1 + target.forced.size() + target.defaults.size() + kFamilyLabelsMax;
  if (most <= kUsualLimit) return;
  const auto at = top.at("labels");
  out.warnings.push_back(
      cat(file, ":", at.line, ":", at.column, ": labels: found ", out.config.labels.size(),
          ", with which a series has up to ", most, " labels; VictoriaMetrics and Mimir take ",
          kUsualLimit,
          " by default, and VictoriaMetrics drops labels beyond that without an error: leave out ",
          most - kUsualLimit, ", or raise its -maxLabelsPerTimeseries"));
}

/// In the place of all errors, where they are those of a file that nobody has filled in yet.
void shorten(std::vector<ConfigError>& errors, const Config& config) {
  const bool is_empty =
      config.customer_id.empty() && config.endpoints.size() == 1 && config.endpoints[0].url.empty();
  if (!is_empty || errors.size() != 2 || errors[0].line == 0) return;
  for (const std::string_view key : {"customer_id", "remote_write.url"}) {
    const auto is_of_key = [&](const ConfigError& error) {
      return error.text.starts_with(cat(key, ": found nothing"));
    };
    if (std::none_of(errors.begin(), errors.end(), is_of_key)) return;
  }
  errors[0].text =
      cat("customer_id and, in line ", errors[1].line,
          ", remote_write.url are not filled in: write them there, or run: msp-agent init");
  errors.pop_back();
}

/// An absolute path without "//", "." and "..", and without a '/' at its end.
std::string plain_path(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const auto part = path.substr(0, std::min(path.find('/'), path.size()));
    path.remove_prefix(std::min(part.size() + 1, path.size()));
    if (part == ".." && !parts.empty()) parts.pop_back();
    if (!part.empty() && part != "." && part != "..") parts.push_back(part);
  }
  std::string plain;
  for (const auto part : parts) plain += cat("/", part);
  return plain.empty() ? "/" : plain;
}

/// Whether the path, however it is written, is a folder that belongs to the system, or is in one of
/// the kernel's file systems. A folder of one's own below the others is none.
bool is_system_folder(const std::string& path) {
  constexpr std::string_view kSystem[] = {
      "/",        "/bin",       "/boot",      "/dev",       "/dev/shm", "/etc",       "/home",
      "/lib",     "/lib32",     "/lib64",     "/libx32",    "/media",   "/opt",       "/proc",
      "/root",    "/run",       "/sbin",      "/sys",       "/tmp",     "/usr",       "/usr/bin",
      "/usr/lib", "/usr/local", "/usr/sbin",  "/usr/share", "/var",     "/var/cache", "/var/lib",
      "/var/log", "/var/run",   "/var/spool", "/var/tmp"};
  constexpr std::string_view kKernels[] = {"/proc/", "/sys/"};
  const auto plain = plain_path(path);
  return std::find(std::begin(kSystem), std::end(kSystem), plain) != std::end(kSystem) ||
         std::any_of(std::begin(kKernels), std::end(kKernels),
                     [&](std::string_view kernels) { return plain.starts_with(kernels); });
}

void read_series_max(Section& top, std::size_t& out) {
  constexpr std::string_view kAccepted = "a number from 1000 to 130000, such as 25000";
  const auto value = top.text("series_max", kAccepted);
  if (!value) return;
  const auto number = parse_number<std::size_t>(value->text);
  if (number && *number >= 1'000 && *number <= kSeriesMaxEnd) {
    out = *number;
  } else {
    top.reject("series_max", shown(value->text), kAccepted);
  }
}

void read_buffer(Section& top, BufferConfig& out) {
  auto section = top.section("buffer");
  section.read_path("path", out.path);
  while (out.path.size() > 1 && out.path.ends_with('/')) out.path.pop_back();
  if (is_system_folder(out.path)) {
    section.reject("path", cat(shown(out.path), ", a folder of the system"),
                   "a folder of the agent's own, such as /var/lib/msp-agent/buffer");
  }
  section.read("max_size", {1ull << 20, 1ull << 40, "a size from 1MiB to 1TiB, such as 256MiB"},
               out.bytes_max);
  section.read("max_age", {1min, 365 * 24h, "a duration from 1m to 365d, such as 7d"}, out.age_max);
  section.read("min_free", {0, 1ull << 50, "a size such as 512MiB; 0 fills the disk"},
               out.free_bytes_min);
  section.finish();
  const char* runtime = std::getenv("RUNTIME_DIRECTORY");
  const std::string_view folders = runtime != nullptr ? runtime : "";
  out.head_path = folders.empty() ? out.path : folders.substr(0, folders.find(':'));
}

void read_log(Section& top, LogLevel& out) {
  auto section = top.section("log");
  constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
  if (const auto level = section.choice("level", kLevels)) out = static_cast<LogLevel>(*level);
  section.finish();
}

std::string too_large(std::uint64_t bytes) {
  return cat("the file has ", bytes, " bytes; accepted: at most ", kConfigBytesMax);
}

ConfigOutcome refused(const std::string& file, std::string text) {
  ConfigOutcome outcome;
  outcome.errors.push_back({file, 0, 0, std::move(text), {}});
  return outcome;
}

bool is_world_readable(const struct stat& status) {
  return (status.st_mode & S_IROTH) != 0;
}

/// A key of the file in which it stands.
struct Key {
  std::string file;
  std::string text;
};

/// An error where the path, if it is there, is no file: libcurl and OpenSSL would wait for a FIFO's
/// writer for ever. What is there no longer, or not yet, is told when it is needed.
void check_named_file(const std::string& path, const Key& key, ConfigOutcome& out) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  const auto* const what = S_ISDIR(status.st_mode)    ? "a folder"
                           : S_ISFIFO(status.st_mode) ? "a FIFO"
                                                      : "a device or a socket";
  out.errors.push_back(
      {key.file, 0, 0, cat(key.text, ": found ", what, "; accepted: the path of a file"), {}});
}

/// The same, and a warning where everybody on the host, or nobody, can read the secret.
void check_secret_file(const std::string& path, const Key& key, ConfigOutcome& out) {
  check_named_file(path, key, out);
  if (path.empty()) return;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    out.warnings.push_back(cat(key.file, ": ", key.text, ": cannot look at its file: ",
                               errno_text(errno), "; make it, or correct its path"));
  } else if (S_ISREG(status.st_mode) && is_world_readable(status)) {
    out.warnings.push_back(cat(key.file, ": ", key.text,
                               ": every user of this host can read the secret in ", path,
                               "; run: chmod o-r ", path));
  }
}

}  // namespace

TargetLabels Config::target_labels() const {
  TargetLabels target{{{"customer_id", customer_id}, {"server_name", server_name}}, {}};
  if (!environment.empty()) target.defaults.push_back({"environment", environment});
  target.defaults.insert(target.defaults.end(), labels.begin(), labels.end());
  // Behind `labels`, which may set them: of two labels with one name the earlier one stays.
  target.defaults.push_back({"instance", host_name});
  target.defaults.push_back({"job", "node"});
  return target;
}

std::string ConfigError::to_string() const {
  if (line == 0) return cat(file, ": ", text);
  return cat(file, ":", line, ":", column, ": ", text);
}

ConfigOutcome parse_config(const std::string& text, const std::string& file) {
  if (text.size() > kConfigBytesMax) return refused(file, too_large(text.size()));
  const auto document = parse_document(text);
  if (document.root == nullptr) {
    ConfigOutcome outcome;
    outcome.errors.push_back({file, document.at.line, document.at.column, document.error,
                              excerpt(text, document.at.line, document.at.column)});
    return outcome;
  }
  if (document.root->kind == Node::Kind::empty) {
    return refused(file,
                   "the file is empty; accepted: at least customer_id and remote_write with a url");
  }

  ConfigOutcome outcome;
  auto& config = outcome.config;
  Diagnostics findings(file);
  Section top(document.root.get(), "", findings);
  if (top.present()) {
    read_identity(top, config);
    read_labels(top, findings, config);
    top.read("interval",
             {kIntervalLimits.min, kIntervalLimits.max, "a duration from 1s to 1h, such as 15s"},
             config.interval);
    read_series_max(top, config.series_max);
    read_collectors(top, findings, config);
    config.collector_options.interval = config.interval;
    config.endpoints = read_endpoints(top, config.interval, findings, outcome.inline_secrets);
    read_buffer(top, config.buffer);
    read_log(top, config.log_level);
    top.finish();
  }
  outcome.errors = findings.take();
  shorten(outcome.errors, config);
  if (outcome.errors.empty()) warn_of_many_labels(top, file, outcome);
  for (auto& error : outcome.errors) error.excerpt = excerpt(text, error.line, error.column);
  return outcome;
}

ConfigOutcome load_config(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || ::access(path.c_str(), R_OK) != 0) {
    const int error = errno;
    if (error == ENOENT) {
      return refused(
          path,
          "there is no such file; make it from the etc/msp-agent.yaml that comes with the "
          "agent, or name another with --config");
    }
    return refused(path, cat("cannot read the file: ", errno_text(error),
                             "; the agent's user must be able to: chgrp msp-agent ", path,
                             " && chmod 640 ", path));
  }
  if (!S_ISREG(status.st_mode)) return refused(path, "not a regular file; name one with --config");
  if (static_cast<std::uint64_t>(status.st_size) > kConfigBytesMax) {
    return refused(path, too_large(static_cast<std::uint64_t>(status.st_size)));
  }
  const auto text = read_file(path, kConfigBytesMax);
  if (!text) return refused(path, text.error().text);

  auto outcome = parse_config(*text, path);
  if (is_world_readable(status)) {
    for (const auto& key : outcome.inline_secrets) {
      outcome.warnings.push_back(cat(path, ": ", key, ": every user of this host can read this ",
                                     "secret; run: chmod o-r ", path));
    }
  }
  const auto& endpoints = outcome.config.endpoints;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto& endpoint = endpoints[i];
    const auto key = [&](std::string_view last) {
      const auto number = endpoints.size() == 1 ? std::string() : cat("[", i, "]");
      return Key{path, cat("remote_write", number, ".", last)};
    };
    check_secret_file(endpoint.password_file, key("basic_auth.password_file"), outcome);
    check_secret_file(endpoint.bearer_token_file, key("bearer_token_file"), outcome);
    check_named_file(endpoint.tls.ca_file, key("tls.ca_file"), outcome);
    check_named_file(endpoint.tls.cert_file, key("tls.cert_file"), outcome);
    check_named_file(endpoint.tls.key_file, key("tls.key_file"), outcome);
  }
  return outcome;
}

}  // namespace msp
