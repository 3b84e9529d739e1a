#include "agent/config/config.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/md5.h"
#include "agent/base/text.h"
#include "agent/config/diagnostics.h"
#include "agent/config/document.h"
#include "agent/config/schema.h"
#include "agent/config/secrets.h"
#include "agent/config/section.h"
#include "agent/config/snippet.h"
#include "agent/config/validators.h"
#include "agent/listen/address.h"

namespace msp::config {
namespace {

/// Receivers have a limit for the labels of a series, and VictoriaMetrics drops those beyond it
/// without a word to who sent them.
void warn_of_many_labels(Section& top, const std::string& file, ConfigOutcome& out) {
  constexpr std::size_t kUsualLimit = 30;  // VictoriaMetrics before 1.108, Mimir; later ones 40
  const auto target = out.config.target_labels();
  // Beside them the metric's name, which is a label, too.
  const auto most = 1 + target.forced.size() + target.defaults.size() + metrics::kFamilyLabelsMax;
  if (most <= kUsualLimit) return;
  const auto at = top.at("labels");
  out.warnings.push_back(
      cat(file, ":", at.line, ":", at.column, ": labels: found ", out.config.labels.size(),
          ", with which a series has up to ", most, " labels; VictoriaMetrics and Mimir take ",
          kUsualLimit,
          " by default, and VictoriaMetrics drops labels beyond that without an error: leave out ",
          most - kUsualLimit, ", or raise its -maxLabelsPerTimeseries"));
}

/// It is taken as it is: a customer whose history has this id would otherwise begin anew.
void warn_of_customer_id(Section& top, const std::string& file, ConfigOutcome& out) {
  const auto& id = out.config.customer_id;
  if (!is_customer_id(id) || is_plain_customer_id(id)) return;
  const auto at = top.at("customer_id");
  out.warnings.push_back(
      cat(file, ":", at.line, ":", at.column, ": customer_id: '", id,
          "' has upper case or '_', and ", lower_case(id),
          " is another customer: keep it only where the centre has this "
          "customer's samples under it, and choose a-z, 0-9 and '-' for others"));
}

void warn_of_open_port(Section& top, const std::string& file, ConfigOutcome& out) {
  const auto& listen = out.config.listen;
  if (listen.address.empty() || listen::parse_listen_address(listen.address)->is_local()) return;
  const bool is_anybody = listen.is_open();
  const bool is_plain = listen.tls.cert_file.empty();
  if (!is_anybody && !is_plain) return;
  const auto at = top.at("listen");
  out.warnings.push_back(cat(
      file, ":", at.line, ":", at.column, ": listen.address: whoever reaches ", listen.address,
      is_anybody && listen.receive
          ? " can write samples to the centre, as whomever, without a login; set listen.clients, "
            "or let a firewall admit only those that send"
      : is_anybody
          ? " can read this host's metrics without a login; set listen.clients, let a firewall "
            "admit only those that scrape it, or listen at 127.0.0.1"
          : " is sent metrics, and sends its login, unencrypted; set listen.tls"));
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

std::string too_large(std::uint64_t bytes) {
  return cat("the file has ", bytes, " bytes; accepted: at most ", kConfigBytesMax);
}

ConfigOutcome refused(const std::string& file, std::string text) {
  ConfigOutcome outcome;
  outcome.errors.push_back({file, 0, 0, std::move(text), {}});
  return outcome;
}

/// The same for the same file on any host, and a number that a sample holds exactly. Without the
/// secrets: whoever reads the metrics could try passwords against it. As Alertmanager makes its own.
std::uint64_t hash_of(std::string text, const Config& config) {
  constexpr std::size_t kBytes = 6;
  secrets_of(config).hide(text);
  std::uint64_t hash = 0;
  const auto digest = md5(text);
  for (std::size_t i = 0; i < kBytes; ++i) hash = hash << 8 | digest[i];
  return hash;
}

bool is_world_readable(const struct stat& status) {
  return (status.st_mode & S_IROTH) != 0;
}

/// A key of the file in which it stands.
struct Place {
  std::string file;
  std::string text;
};

/// An error where the path, if it is there, is no file: libcurl and OpenSSL would wait for a FIFO's
/// writer for ever. What is there no longer, or not yet, is told when it is needed.
void check_named_file(const std::string& path, const Place& key, ConfigOutcome& out) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  const auto* const what = S_ISDIR(status.st_mode)    ? "a folder"
                           : S_ISFIFO(status.st_mode) ? "a FIFO"
                                                      : "a device or a socket";
  out.errors.push_back(
      {key.file, 0, 0, cat(key.text, ": found ", what, "; accepted: the path of a file"), {}});
}

/// A warning where everybody on the host, or nobody, can read the secret.
void warn_of_secret_file(const std::string& path, const Place& key, ConfigOutcome& out) {
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

bool ListenConfig::is_open() const {
  const auto parsed = listen::parse_listen_address(address);
  return parsed && !parsed->is_local() && clients.empty() && tls.ca_file.empty();
}

std::string ListenClient::name(std::size_t place) const {
  if (!label.empty()) return label;
  if (!username.empty()) return username;
  if (!bearer_token_file.empty()) {
    return bearer_token_file.substr(bearer_token_file.find_last_of('/') + 1);
  }
  return cat("client ", place + 1);
}

metrics::TargetLabels Config::target_labels() const {
  metrics::TargetLabels target{{{"customer_id", customer_id}, {"server_name", server_name}}, {}};
  if (!environment.empty()) target.defaults.push_back({"environment", environment});
  target.defaults.insert(target.defaults.end(), labels.begin(), labels.end());
  // Behind `labels`, which may set them: of two labels with one name the earlier one stays.
  target.defaults.push_back({"instance", host_name});
  target.defaults.push_back({"job", "node"});
  return target;
}

namespace {

metrics::Relabel relabel_by(std::vector<metrics::RelabelRule> rules) {
  if (rules.empty()) return nullptr;
  return [relabeler = metrics::Relabeler(rules)](std::vector<metrics::Label>& labels) {
    return relabeler(labels);
  };
}

/// Any of the expressions: "(?:a)|(?:b)".
metrics::RelabelRule by_name(metrics::RelabelAction action, const std::vector<std::string>& names) {
  std::string regex;
  for (const auto& name : names) regex += cat(regex.empty() ? "" : "|", "(?:", name, ")");
  return {.action = action,
          .source_labels = {std::string(metrics::kMetricName)},
          .regex = std::move(regex)};
}

}  // namespace

metrics::Relabel Config::relabel_of(const std::vector<metrics::RelabelRule>& own) const {
  auto rules = own;
  rules.insert(rules.end(), relabel.begin(), relabel.end());
  if (!metrics.keep.empty()) rules.push_back(by_name(metrics::RelabelAction::keep, metrics.keep));
  if (!metrics.drop.empty()) rules.push_back(by_name(metrics::RelabelAction::drop, metrics.drop));
  return relabel_by(std::move(rules));
}

metrics::Relabel Config::relabel_about() const {
  return relabel_by(relabel);
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
  config = default_config();
  Diagnostics findings(file);
  Section top(document.root.get(), "", findings);
  if (top.present()) {
    const auto& schema = config_schema();
    top.read(schema.keys(""), &config);
    schema.check(top, &config, nullptr);
  }
  outcome.inline_secrets = findings.take_inline_secrets();
  outcome.errors = findings.take();
  shorten(outcome.errors, config);
  if (outcome.errors.empty()) {
    warn_of_many_labels(top, file, outcome);
    warn_of_open_port(top, file, outcome);
    warn_of_customer_id(top, file, outcome);
  }
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
  if (outcome.errors.empty()) outcome.config.hash = hash_of(*text, outcome.config);
  if (is_world_readable(status)) {
    for (const auto& key : outcome.inline_secrets) {
      outcome.warnings.push_back(cat(path, ": ", key, ": every user of this host can read this ",
                                     "secret; run: chmod o-r ", path));
    }
  }
  visit_values(
      outcome.config, [&](const ConfigKey& key, const std::string& key_path, const void* field) {
        const auto* const type = std::get_if<key_type::Path>(&key.type);
        if (type == nullptr || type->to == key_type::Path::To::folder) return;
        check_named_file(*static_cast<const std::string*>(field), {path, key_path}, outcome);
        if (type->to != key_type::Path::To::secret_file) return;
        warn_of_secret_file(*static_cast<const std::string*>(field), {path, key_path}, outcome);
      });
  return outcome;
}

}  // namespace msp::config
