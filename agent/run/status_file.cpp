#include "agent/run/status_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

#include "agent/base/clock.h"
#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/redact.h"
#include "agent/base/result.h"
#include "agent/run/process.h"
#include "agent/run/signals.h"

namespace msp::run {
namespace {

constexpr std::int64_t kEveryNs = 60 * kNsPerSecond;
// Endpoints that change their state all the time.
constexpr std::int64_t kRestNs = 500 * kNsPerMs;
constexpr std::int64_t kTrendNs = 60 * kNsPerSecond;
// Less than that and one request more or less is all there is to see.
constexpr std::int64_t kTrendAtLeastNs = 2 * kNsPerSecond;

double seconds(std::int64_t ns) {
  return static_cast<double>(ns) / kNsPerSecond;
}

double seconds_of_ms(std::int64_t ms) {
  return static_cast<double>(ms) / 1000;
}

double age_seconds(std::int64_t oldest_ms) {
  // In seconds: a timestamp from a disk may be too far away for nanoseconds.
  return oldest_ms == 0 ? 0 : std::max(0.0, seconds(wall_ns()) - seconds_of_ms(oldest_ms));
}

Result<void> replace_file(const std::string& path, std::string_view content) {
  const auto fresh = path + ".new";
  const auto fail = [&](std::string_view what) {
    const auto error = errno_text(errno);
    ::unlink(fresh.c_str());
    return failed(cat("cannot ", what, " ", fresh, ": ", error));
  };
  // O_NONBLOCK: a FIFO of that name is an error, and gone afterwards.
  constexpr int kFresh = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  const Fd fd(::open(fresh.c_str(), kFresh, 0640));
  if (!fd) return fail("make");
  if (::fchmod(fd.get(), 0640) != 0) return fail("set the mode of");  // whatever the umask is
  const auto written = ::write(fd.get(), content.data(), content.size());
  if (written >= 0 && static_cast<std::size_t>(written) < content.size()) errno = ENOSPC;
  if (written != static_cast<ssize_t>(content.size())) return fail("write");
  if (::rename(fresh.c_str(), path.c_str()) != 0) return fail("rename");
  return {};
}

/// From now on; NAN where the disk cannot be used.
double holds_outage_seconds(const StatusReport& report) {
  if (report.buffer.memory_only || report.buffer.free_space_guard) return NAN;
  double oldest = 0;
  std::uint64_t waiting = 0;
  for (const auto& endpoint : report.service.endpoints) {
    oldest = std::max(oldest, age_seconds(endpoint.oldest_ms));
    waiting = std::max<std::uint64_t>(waiting, endpoint.waiting);
  }
  const auto interval = seconds(std::chrono::nanoseconds(report.config.interval).count());
  return outage_seconds(report.config.buffer,
                        buffer_room(report.config.buffer, report.buffer.bytes, report.disk),
                        static_cast<double>(report.samples_per_tick) / interval,
                        bytes_per_sample(report.buffer.bytes, waiting), oldest);
}

void add_buffer(const StatusReport& report, JsonWriter& out) {
  const auto& limits = report.config.buffer;
  out.open_object("buffer");
  out.add("path", limits.path);
  out.add("bytes", report.buffer.bytes);
  out.add("segments", report.buffer.segments);
  out.add("damaged_records", report.buffer.damaged_records);
  out.add("memory_only", report.buffer.memory_only);
  out.add("free_space_guard", report.buffer.free_space_guard);
  out.add("max_size_bytes", limits.bytes_max);
  out.add("max_age_seconds", seconds_of_ms(limits.age_max.count()));
  out.add("min_free_bytes", limits.free_bytes_min);
  out.add("holds_outage_seconds", holds_outage_seconds(report));
  out.close();
}

void add_collectors(const StatusReport& report, JsonWriter& out) {
  out.open_list("collectors");
  for (const auto& collector : report.collectors) {
    out.open_object();
    out.add("name", collector.name);
    out.add("success", collector.success);
    out.add("has_data", collector.has_data);
    out.add("duration_seconds", collector.duration_seconds);
    out.add("series", collector.series);
    out.add("last_error", redact(collector.error));
    out.close();
  }
  out.close();
}

void add_sources(const StatusReport& report, JsonWriter& out) {
  out.open_list("sources");
  for (const auto* source : report.sources) {
    const auto health = source->health();
    out.open_object();
    out.add("name", source->name());
    out.add("up", health.is_up);
    out.add("samples", health.samples);
    out.add("duplicate_samples", health.duplicates);
    out.add("duration_seconds", health.duration_seconds);
    out.add("bad_lines", health.bad_lines);
    out.add("first_bad_line", redact(health.first_bad_line));
    out.add("last_error", redact(health.error));
    out.close();
  }
  out.close();
}

void add_listen(const ListenReport& listen, JsonWriter& out) {
  out.open_object("listen");
  out.add("address", listen.address);
  out.add("listening", listen.is_listening);
  out.add("connections", listen.connections);
  out.add("requests", listen.requests);
  out.add("refused", listen.refused);
  out.add("open", listen.is_open);
  out.add("receive", listen.receives);
  if (listen.not_after_s != 0) out.add("certificate_expires", listen.not_after_s);
  if (listen.loop_ms != 0) out.add("loop_seen", listen.loop_ms / 1000);
  if (listen.receives) {
    out.open_list("clients");
    for (const auto& client : listen.clients) {
      out.open_object();
      out.add("name", client.name);
      if (client.last_seen_ms != 0) out.add("last_seen", client.last_seen_ms / 1000);
      out.add("samples", client.samples);
      out.add("skipped_samples", client.samples_skipped);
      out.add("refused_requests", client.refused);
      out.close();
    }
    out.close();
  }
  out.close();
}

}  // namespace

std::string_view endpoint_state_name(delivery::EndpointState state) {
  constexpr std::string_view kNames[] = {"starting", "delivering", "retrying", "misconfigured",
                                         "refusing"};
  return kNames[static_cast<std::size_t>(state)];
}

void Trend::add(std::int64_t now_ns, std::uint64_t waiting, std::uint64_t lost) {
  if (!points_.empty() && lost < points_.back().lost) points_.clear();  // counted anew
  points_.push_back({now_ns, waiting, lost});
  while (points_.size() > 2 && now_ns - points_[1].at_ns >= kTrendNs) points_.pop_front();
}

std::optional<double> Trend::seconds_to_drain() const {
  if (points_.empty() || points_.back().waiting == 0) return std::nullopt;
  // From the highest on: before it there was an outage.
  const auto top =
      std::max_element(points_.begin(), points_.end(),
                       [](const auto& a, const auto& b) { return a.waiting <= b.waiting; });
  const auto& last = points_.back();
  const auto took_ns = last.at_ns - top->at_ns;
  if (took_ns < kTrendAtLeastNs || top->waiting <= last.waiting) return std::nullopt;
  const auto per_second = static_cast<double>(top->waiting - last.waiting) / seconds(took_ns);
  return static_cast<double>(last.waiting) / per_second;
}

StatusFile::StatusFile(const config::BufferConfig& buffer)
    : folder_(buffer.head_path),
      is_on_disk_(buffer.head_path == buffer.path),
      started_ms_(wall_ns() / kNsPerMs),
      start_ticks_(read_process(::getpid()).value_or(ProcessStat{}).start_ticks) {}

void StatusFile::ticked(std::int64_t now_ns) {
  if (due_ns_ == INT64_MAX) due_ns_ = now_ns;
}

void StatusFile::changed(std::int64_t now_ns) {
  due_ns_ = std::min(due_ns_, std::max(now_ns, not_before_ns_));
}

void StatusFile::write(std::int64_t now_ns, const StatusReport& report) {
  const auto written = replace_file(cat(folder_, "/", kStatusFileName), json(now_ns, report));
  if (!written && written.error().text != told_error_) {
    log_warning(cat("status: ", written.error().text,
                    "; `msp-agent status` cannot show what this agent does"));
  }
  told_error_ = written ? std::string() : written.error().text;
  not_before_ns_ = now_ns + (is_on_disk_ ? kEveryNs : kRestNs);
  due_ns_ = now_ns + kEveryNs;
}

std::string StatusFile::json(std::int64_t now_ns, const StatusReport& report) {
  const auto& config = report.config;
  JsonWriter out;
  out.add("version", MSP_AGENT_VERSION);
  out.add("pid", ::getpid());
  out.add("start_ticks", start_ticks_);
  out.add("started", seconds_of_ms(started_ms_));
  out.add("updated", seconds(wall_ns()));
  out.add("updated_boottime", seconds(now_ns));
  out.add("update_seconds", seconds(kEveryNs));
  out.add("status_signal", kStatusSignal);
  out.add("stopped", report.stopped);
  out.add("interval_seconds", seconds(std::chrono::nanoseconds(config.interval).count()));
  out.add("customer_id", config.customer_id);
  out.add("server_name", config.server_name);
  out.add("ticks_skipped", report.ticks_skipped);
  out.add("timestamps_moved", report.timestamps_moved);
  out.open_list("endpoints");
  for (const auto& endpoint : report.service.endpoints) add_endpoint(now_ns, endpoint, out);
  out.close();
  add_buffer(report, out);
  add_collectors(report, out);
  add_sources(report, out);
  if (report.listen) add_listen(*report.listen, out);
  out.open_object("process");
  out.add("cpu_seconds", seconds(clock_ns(CLOCK_PROCESS_CPUTIME_ID)));
  out.add("resident_bytes", report.resident_bytes.value_or(NAN));
  return out.finish();
}

void StatusFile::add_endpoint(std::int64_t now_ns, const EndpointReport& endpoint,
                              JsonWriter& out) {
  auto lost = endpoint.rejected;
  for (const auto samples : endpoint.dropped) lost += samples;
  auto& trend = trends_[endpoint.name];
  trend.add(now_ns, endpoint.waiting, lost);

  out.open_object();
  out.add("name", endpoint.name);
  out.add("state", endpoint_state_name(endpoint.state));
  out.add("summary", endpoint.sentence(wall_ns() / kNsPerMs));
  out.add("removed", endpoint.removed);
  out.add("protocol", endpoint.protocol);
  out.add("last_success",
          endpoint.last_success_ms == 0 ? NAN : seconds_of_ms(endpoint.last_success_ms));
  out.add("lag_seconds", age_seconds(endpoint.oldest_ms));
  out.add("backlog_samples", endpoint.waiting);
  out.add("drained_in_seconds", trend.seconds_to_drain().value_or(NAN));
  out.open_object("dropped_samples");
  out.add("rejected", endpoint.rejected);
  for (std::size_t i = 0; i < queue::kDropReasons; ++i) {
    out.add(queue::drop_reason_name(static_cast<queue::DropReason>(i)), endpoint.dropped[i]);
  }
  out.close();
  out.add("dropped_lately_samples", trend.lost_lately());
  out.add("sent_samples", endpoint.sent);
  out.add("requests", endpoint.requests);
  out.add("retries", endpoint.retries);
  out.add("last_error", endpoint.error);
  out.add("clock_problem", endpoint.clock_problem);
  out.add("answer_problem", endpoint.answer_problem);
  out.close();
}

}  // namespace msp::run
