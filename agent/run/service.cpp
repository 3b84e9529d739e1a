#include "agent/run/service.h"

#include <algorithm>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp::run {
namespace {

// How old the status may be where no endpoint is in another state.
constexpr std::int64_t kReportAtLeastEveryNs = 30 * kNsPerSecond;
constexpr std::int64_t kAgainAfterNs = 1 * kNsPerSecond;
// A request ends at its time-out; a host that is short of CPU or memory is late with it.
constexpr std::int64_t kStuckAfterNs = 60 * kNsPerSecond;

}  // namespace

std::string EndpointReport::sentence(std::int64_t now_ms) const {
  const auto behind = grouped(waiting);
  switch (state) {
    case delivery::EndpointState::starting:
      return cat("connecting to ", name, ", ", behind, " behind");
    case delivery::EndpointState::delivering:
      return cat("delivering to ", name, ", ", behind, " behind");
    case delivery::EndpointState::refusing:
      return cat(name, " refuses what it gets: ", error, "; it is dropped, ", behind, " behind");
    case delivery::EndpointState::retrying:
    case delivery::EndpointState::misconfigured:
      break;
  }
  const bool answered =
      error.starts_with("HTTP ") || state == delivery::EndpointState::misconfigured;
  auto text = cat(answered ? "cannot deliver to " : "cannot reach ", name);
  // After a clock that was set back, nothing is better than something wrong.
  if (last_success_ms != 0 && now_ms > last_success_ms) {
    text += cat(" for ", seconds_text((now_ms - last_success_ms) / 1000));
  }
  return cat(text, ": ", error, "; ", behind, " samples kept");
}

std::string ServiceReport::status(std::int64_t now_ms) const {
  std::string line;
  for (const auto& endpoint : endpoints) {
    line += cat(line.empty() ? "" : " | ", endpoint.sentence(now_ms));
  }
  if (memory_only) line += " | the buffer's disk cannot be used: samples are kept in memory only";
  if (free_space_guard) line += " | the buffer's disk is nearly full: samples are kept in memory";
  return line;
}

std::string ServiceReport::stuck(std::int64_t now_ns) const {
  for (const auto& endpoint : endpoints) {
    if (endpoint.request_since_ns == 0) continue;
    const auto took_ns = now_ns - endpoint.request_since_ns;
    if (took_ns <= endpoint.timeout_ns + kStuckAfterNs) continue;
    return cat("a request to ", endpoint.name, " has not ended for ", duration_text(took_ns),
               "; its timeout is ", duration_text(endpoint.timeout_ns));
  }
  return {};
}

ServiceReport make_report(const delivery::AgentStats& stats, const queue::Queue& queue) {
  ServiceReport report;
  for (const auto& endpoint : stats.endpoints) {
    const auto kept = queue.state(endpoint.number);
    report.endpoints.push_back({.name = redact(endpoint.name),
                                .waiting = kept.samples,
                                .state = endpoint.state,
                                .error = redact(endpoint.last_error()),
                                .last_success_ms = endpoint.last_success_ms,
                                .timeout_ns = endpoint.timeout_ns,
                                .request_since_ns = endpoint.request_since_ns,
                                .removed = endpoint.removed,
                                .protocol = endpoint.protocol.load(),
                                .clock_problem = endpoint.clock_problem(),
                                .answer_problem = redact(endpoint.answer_problem()),
                                .oldest_ms = kept.samples == 0 ? 0 : kept.oldest_timestamp_ms,
                                .sent = endpoint.samples_sent,
                                .rejected = endpoint.samples_rejected,
                                .dropped = std::to_array(kept.dropped),
                                .requests = endpoint.requests,
                                .retries = endpoint.retries});
  }
  const auto state = queue.state();
  report.memory_only = state.memory_only;
  report.free_space_guard = state.free_space_guard;
  return report;
}

void Service::ticked(std::int64_t now_ns) {
  if (!told_up_) changed(now_ns);
}

void Service::changed(std::int64_t now_ns) {
  if (notify_.listened_to()) due_ns_ = std::min(due_ns_, now_ns);
}

void Service::report(std::int64_t now_ns, const ServiceReport& report) {
  const auto stuck = report.stuck(monotonic_ns());
  if (!stuck.empty() && !told_stuck_) {
    log_error(cat(stuck, notify_.watchdog_ns() == 0
                             ? ""
                             : "; the service manager is going to restart the agent"));
  }
  told_stuck_ = !stuck.empty();

  auto status = visible(report.status(wall_ns() / kNsPerMs));  // `systemctl status` shows it
  const bool is_first = !told_up_;
  const bool told = notify_.send({.ready = is_first,
                                  .alive = notify_.watchdog_ns() != 0 && stuck.empty(),
                                  .status = status != told_status_ ? status : ""});
  if (told) {
    told_up_ = true;
    told_status_ = std::move(status);
  }
  auto rest_ns = kReportAtLeastEveryNs;
  if (notify_.watchdog_ns() != 0) rest_ns = std::min(rest_ns, notify_.watchdog_ns() / 2);
  if (!told) rest_ns = std::min(rest_ns, kAgainAfterNs);
  due_ns_ = now_ns + rest_ns;
}

void Service::reloading() {
  notify_.send({.reloading = true, .status = "reading the configuration"});
  told_status_.clear();
}

void Service::reloaded() {
  told_up_ = notify_.send({.ready = true});
  changed(0);
}

void Service::stopping(std::string status) {
  notify_.send({.stopping = true, .status = std::move(status)});
}

}  // namespace msp::run
