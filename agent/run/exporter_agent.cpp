#include "agent/run/exporter_agent.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <memory>
#include <mutex>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/http/tls/certificate.h"
#include "agent/run/health_log.h"
#include "agent/run/listener.h"
#include "agent/run/open_files.h"
#include "agent/run/status_file.h"
#include "agent/run/systemd.h"

namespace msp::run {
namespace {

std::string status_of(const config::Config& config) {
  return cat("answering at ", config.listen.address, ": ", config.collectors.size(), " collectors");
}

/// Several choices of collectors may be read at once.
OnHealthChange tell_health() {
  struct Told {
    std::mutex mutex;
    HealthLog log;
  };
  return [told = std::make_shared<Told>()](std::string_view collector, const Error* error) {
    const std::lock_guard lock(told->mutex);
    if (const auto line = told->log.line(collector, error, monotonic_ns()))
      log_line(line->level, line->text);
  };
}

}  // namespace

Result<void> run_exporter(const config::Config& config, const collectors::HostPaths& paths,
                          const ReadConfig& read_config, const Signals& signals) {
  http::init_tls();
  std::mutex mutex;
  std::string failure;
  if (const auto problem = raise_open_files(open_files_needed(config)); !problem.empty())
    log_warning(problem);
  Listener listener({.paths = paths,
                     .on_thread_failure =
                         [&](const std::string& reason) {
                           {
                             const std::lock_guard lock(mutex);
                             failure = cat("a thread of the agent ended: ", reason);
                           }
                           ::kill(::getpid(), SIGTERM);
                         },
                     .on_health_change = tell_health()});
  if (const auto listening = listener.set(config); !listening)
    return failed(cat("listen: ", listening.error().text));
  log_info(cat("msp-agent " MSP_AGENT_VERSION ": ", status_of(config)));
  auto notify = Notify::from_environment();
  notify.send({.ready = true, .status = status_of(config)});
  const Wakeup nobody;
  auto current = config;
  // In memory only: an exporter writes to no disk.
  const bool has_folder = config.buffer.head_path != config.buffer.path;
  StatusFile status_file(config.buffer);
  const auto write_status = [&](bool stopped) {
    if (!has_folder) return;
    status_file.write(clock_ns(CLOCK_BOOTTIME), {.config = current,
                                                 .service = {},
                                                 .buffer = {},
                                                 .collectors = {},
                                                 .listen = listener.report(),
                                                 .stopped = stopped});
  };
  status_file.asked(clock_ns(CLOCK_BOOTTIME));
  for (;;) {
    if (clock_ns(CLOCK_BOOTTIME) >= status_file.due_ns()) write_status(false);
    auto due_ns = has_folder ? status_file.due_ns() : kNeverNs;
    if (notify.watchdog_ns() != 0) {
      due_ns = std::min(due_ns, clock_ns(CLOCK_BOOTTIME) + notify.watchdog_ns() / 2);
    }
    const int signal = signals.wait(nobody, due_ns);
    notify.send({.alive = notify.watchdog_ns() != 0});
    if (signal == SIGTERM || signal == SIGINT) break;
    if (signal == kStatusSignal) status_file.asked(clock_ns(CLOCK_BOOTTIME));
    if (signal != SIGHUP) continue;
    notify.send({.reloading = true, .status = "reading the configuration"});
    const auto fresh = read_config();
    auto reloaded = fresh ? Result<void>() : Result<void>(failed("see above"));
    if (fresh && !fresh->endpoints.empty()) {
      reloaded = failed("with remote_write the agent sends as well, and that needs a restart");
    } else if (fresh) {
      reloaded = listener.set(*fresh);
      current = *fresh;
    }
    if (reloaded) {
      log_info(cat("reloaded: ", status_of(*fresh)));
    } else {
      log_error(cat("reload: ", reloaded.error().text));
    }
    notify.send({.ready = true, .status = status_of(current)});
  }
  notify.send({.stopping = true});
  write_status(true);
  listener.stop();
  const std::lock_guard lock(mutex);
  if (!failure.empty()) return failed(failure);
  return {};
}

}  // namespace msp::run
