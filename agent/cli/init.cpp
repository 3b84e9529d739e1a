// msp-agent init: writes the configuration from flags or, on a terminal, from answers, and checks
// it. Replaces a configuration that was filled in only with --force, and keeps what it replaces.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <iostream>
#include <optional>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/result.h"
#include "agent/base/text.h"
#include "agent/cli/cloud.h"
#include "agent/cli/commands.h"
#include "agent/cli/found_exporters.h"
#include "agent/config/schema.h"
#include "agent/http/client.h"

namespace msp::cli {
namespace {

constexpr std::size_t kGroupsBytesMax = 4 << 20;

void tell(const std::string& text) {
  std::fprintf(stderr, "msp-agent init: %s\n", log_text(text).c_str());
}

bool is_terminal() {
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0;
}

std::string host_name() {
  struct utsname host {};
  return ::uname(&host) == 0 ? host.nodename : "";
}

/// Asks for a key until the agent would take the answer; an empty one takes what is in `value`
/// already. False at the end of the input.
bool ask(std::string_view path, std::string_view meaning, ConfigDraft& draft, std::string& value) {
  const auto& key = config::find_key(path);
  const auto proposed = value;
  const auto hint = !proposed.empty() ? cat(" [", proposed, "]")
                    : key.is_required ? std::string()
                                      : std::string(" (may stay empty)");
  for (;;) {
    std::fputs(cat(key.name, meaning, hint, ": ").c_str(), stderr);
    std::string answer;
    if (!std::getline(std::cin, answer)) return false;
    value = trim(answer).empty() ? proposed : std::string(trim(answer));
    if (value.empty() && key.is_required) continue;
    const auto problem = draft.problem_with(path);
    if (problem.empty()) return true;
    std::fprintf(stderr, "  %s\n", log_text(problem).c_str());
  }
}

bool ask_for_the_rest(ConfigDraft& draft) {
  std::fputs("Enter takes what is in brackets; Ctrl-C writes nothing.\n", stderr);
  return ask("customer_id", ", the customer that the server belongs to", draft,
             draft.customer_id) &&
         ask("server_name", "", draft, draft.server_name) &&
         ask("environment", ", such as production", draft, draft.environment) &&
         ask("remote_write.url", " of the centre, such as https://monitor.example.com/api/v1/write",
             draft, draft.url) &&
         ask("remote_write.bearer_token_file", ", which has a bearer token", draft,
             draft.bearer_token_file);
}

/// The labels of the cloud that this host runs in, where the user has not set them.
void add_cloud(const collectors::HostPaths& paths, ConfigDraft& draft) {
  const auto cloud = detect_cloud(paths);
  const auto add = [&](const char* name, const std::string& value) {
    for (const auto& label : draft.labels) {
      if (label.name == name) return;
    }
    if (value.empty()) return;
    draft.labels.push_back({name, value});
    tell(cat("label ", name, ": ", value, ", as this host's firmware or cloud-init says; --label ",
             name, "= leaves it out"));
  };
  add("csp", cloud.provider);
  add("region", cloud.region);
  std::erase_if(draft.labels, [](const metrics::Label& label) { return label.value.empty(); });
}

/// "name=value" of each.
Result<std::vector<metrics::Label>> split_labels(const std::vector<std::string>& pairs) {
  std::vector<metrics::Label> labels;
  for (const auto& pair : pairs) {
    const auto equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return failed(cat("--label ", pair, ": not NAME=VALUE, such as region=ap-northeast-2"));
    }
    labels.push_back({pair.substr(0, equals), pair.substr(equals + 1)});
  }
  return labels;
}

/// Not filled in: no customer_id and no url, as in the file that packages bring.
bool is_template(const std::string& path) {
  const auto config = config::load_config(path).config;
  return config.customer_id.empty() &&
         (config.endpoints.empty() || config.endpoints[0].url.empty());
}

/// The group of the agent's user, from a file: getgrnam(3) would load the host's libraries.
std::optional<gid_t> agent_group() {
  const auto groups = read_file("/etc/group", kGroupsBytesMax);
  if (!groups) return std::nullopt;
  std::string_view rest = *groups;
  while (const auto line = next_line(rest)) {  // msp-agent:x:998:
    constexpr std::string_view kName = "msp-agent:";
    if (!line->starts_with(kName)) continue;
    const auto number = line->substr(line->find(':', kName.size()) + 1);
    return parse_number<gid_t>(number.substr(0, number.find(':')));
  }
  return std::nullopt;
}

/// A second name for `path` that nothing else has. Returns it.
Result<std::string> keep_backup(const std::string& path) {
  for (int number = 1; number < 100; ++number) {
    const auto backup = number == 1 ? path + ".bak" : cat(path, ".bak.", number);
    if (::link(path.c_str(), backup.c_str()) == 0) return backup;
    if (errno != EEXIST)
      return failed(cat("cannot keep ", path, " as ", backup, ": ", errno_text(errno)));
  }
  return failed(cat(path, ".bak to .bak.99 are there already: remove some"));
}

/// Whole or not at all, readable by root and the agent's group only.
Result<void> write_file(const std::string& path, const std::string& text) {
  const auto temporary = path + ".new";
  const auto problem = [&](std::string_view what) {
    const int error = errno;
    ::unlink(temporary.c_str());
    return failed(cat("cannot ", what, " ", path, ": ", errno_text(error)));
  };
  ::unlink(temporary.c_str());  // of a run that was killed
  const Fd file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
  if (!file) return problem("write");
  if (const auto group = agent_group(); group && ::geteuid() == 0) {
    if (::fchown(file.get(), 0, *group) != 0) return problem("give to the group msp-agent");
  }
  if (::fchmod(file.get(), 0640) != 0) return problem("set the mode of");
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::fsync(file.get()) != 0) {
    return problem("write");
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return problem("write");
  return {};
}

/// Everything that is known is right, or says what is not.
bool is_valid(const ConfigDraft& draft) {
  const auto errors = config::parse_config(draft.yaml(), "").errors;
  for (const auto& error : errors) tell(error.text);
  return errors.empty();
}

int write_and_check(const GlobalOptions& options, const ConfigDraft& draft) {
  const auto& path = options.config;
  if (::access(path.c_str(), F_OK) == 0) {
    const auto backup = keep_backup(path);
    if (!backup) {
      tell(backup.error().text);
      return kExitFailed;
    }
    tell(cat("the file that was there is kept as ", *backup));
  }
  if (const auto written = write_file(path, draft.yaml()); !written) {
    tell(written.error().text);
    return kExitFailed;
  }
  std::printf("wrote %s\n", path.c_str());
  std::fflush(stdout);
  return check(options, {.offline = true});
}

}  // namespace

int init(const GlobalOptions& options, const InitOptions& wanted) {
  const auto& path = options.config;
  if (!wanted.force && ::access(path.c_str(), F_OK) == 0 && !is_template(path)) {
    tell(cat(path, " is configured already; --force replaces it and keeps it as ", path, ".bak"));
    return kExitFailed;
  }
  auto draft = wanted.draft;
  auto labels = split_labels(wanted.labels);
  if (!labels) {
    tell(labels.error().text);
    return kExitBadUsage;
  }
  draft.labels = std::move(*labels);
  add_cloud(options.paths, draft);
  if (draft.server_name.empty()) draft.server_name = host_name();
  if (wanted.scrape) {
    http::init_http();
    draft.scrape = scrape_block(find_exporters(options.paths));
    if (draft.scrape.empty()) tell("--scrape: no exporter answers on this host");
  }
  const bool is_complete = !draft.customer_id.empty() && !draft.url.empty();
  if (!is_complete && !is_terminal()) {
    tell(
        "--customer-id and --url are needed where there is no terminal to ask on, such as "
        "--customer-id alpha --url https://monitor.example.com/api/v1/write");
    return kExitBadUsage;
  }
  if (!is_complete && !ask_for_the_rest(draft)) {
    tell("the input ended; nothing was written");
    return kExitFailed;
  }
  if (!is_valid(draft)) {
    tell("nothing was written: correct what is named above and run it again");
    return kExitBadUsage;
  }
  return write_and_check(options, draft);
}

}  // namespace msp::cli
