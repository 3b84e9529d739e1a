#include "agent/remote_write/sender.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>

#include "agent/core/clock.h"
#include "agent/core/text.h"
#include "agent/self/log.h"

namespace msp {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kBackoffFirst{1};
constexpr seconds kBackoffMax{60};
// Problems that take turns are not told at every turn.
constexpr nanoseconds kTellAgainAfter = seconds{60};

/// "HTTP 503: the server's own words", or why there was no answer.
std::string problem(const HttpAnswer& answer) {
  if (answer.status == 0) return answer.error;
  auto text = cat("HTTP ", answer.status);
  if (!answer.body.empty()) text += cat(": ", answer.body);
  return text;
}

}  // namespace

Verdict judge(int status) {
  if (status >= 200 && status < 300) return Verdict::delivered;
  const bool can_be_mended = status == 401 || status == 403 || status == 404;
  const bool load = status == 408 || status == 429;
  if (status >= 400 && status < 500 && !can_be_mended && !load) return Verdict::rejected;
  return Verdict::retry;
}

nanoseconds backoff(int failures, double random) {
  const auto doublings = std::clamp(failures - 1, 0, 16);
  const auto longest = std::min<nanoseconds>(kBackoffFirst * (1 << doublings), kBackoffMax);
  return nanoseconds(static_cast<std::int64_t>(random * static_cast<double>(longest.count())));
}

Sender::Sender(const EndpointConfig& config, std::size_t endpoint, Buffer& buffer,
               EndpointStats& stats)
    : config_(config),
      endpoint_(endpoint),
      buffer_(buffer),
      stats_(stats),
      http_(config, stop_at_ns_) {}

void Sender::stop_at(std::int64_t deadline_ns) {
  stop_at_ns_ = deadline_ns;
}

void Sender::run() {
  for (;;) {
    buffer_.wait(endpoint_);
    const bool last_try = stopping();
    if (!buffer_.peek(endpoint_, kSamplesPerRequestMax, batch_)) {
      if (last_try) return;
      continue;
    }
    if (send() == Verdict::retry) {
      if (last_try) return;
      buffer_.pause(resume_ns_);
    } else if (buffer_.state(endpoint_).samples == 0) {
      malloc_trim(0);  // until the next tick the host has what encoding and TLS needed
    }
  }
}

Verdict Sender::send() {
  static const std::vector<std::string> kHeaders = {
      "Content-Encoding: snappy",
      "Content-Type: application/x-protobuf",
      "X-Prometheus-Remote-Write-Version: 0.1.0",
      "User-Agent: msp-agent/" MSP_AGENT_VERSION,
  };
  const auto body = encoder_.encode(batch_);
  stats_.request_since_ns = monotonic_ns();
  const auto answer = http_.post(body, kHeaders);
  stats_.request_since_ns = 0;
  ++stats_.requests;
  stats_.bytes_sent += body.size();

  const auto verdict = judge(answer.status);
  if (verdict == Verdict::retry) {
    on_retry(answer);
    return verdict;
  }
  buffer_.ack(endpoint_, batch_);
  if (verdict == Verdict::delivered) {
    on_delivered();
  } else {
    on_rejected(answer);
  }
  return verdict;
}

void Sender::on_delivered() {
  stats_.samples_sent += batch_.samples();
  stats_.last_success_ms = wall_ns() / kNsPerMs;
  stats_.state = EndpointState::delivering;
  failures_ = 0;
  told_rejection_ = false;
  if (failing_since_ns_ == 0) return;
  caught_up_ += batch_.samples();
  if (buffer_.state(endpoint_).samples > 0) return;
  log_info(cat("delivered again to ", stats_.name, " after ",
               duration_text(monotonic_ns() - failing_since_ns_), ", ", grouped(caught_up_),
               " samples caught up"));
  failing_since_ns_ = 0;
  caught_up_ = 0;
  told_.clear();
}

void Sender::on_rejected(const HttpAnswer& answer) {
  stats_.samples_rejected += batch_.samples();
  stats_.set_last_error(problem(answer));
  stats_.state = EndpointState::delivering;
  failures_ = 0;
  if (std::exchange(told_rejection_, true)) return;
  log_error(cat(stats_.name, " refuses samples: ", problem(answer), "; ", grouped(batch_.samples()),
                " dropped, msp_agent_samples_dropped_total counts them"));
}

void Sender::on_retry(const HttpAnswer& answer) {
  ++stats_.retries;
  ++failures_;
  const auto now_ns = monotonic_ns();
  const double random = std::uniform_real_distribution<double>(0, 1)(random_);
  const auto wait = backoff(failures_, random);
  resume_ns_ = now_ns + wait.count();
  if (failing_since_ns_ == 0) failing_since_ns_ = now_ns;
  caught_up_ = 0;
  stats_.set_last_error(problem(answer));
  stats_.state = EndpointState::retrying;

  // The server's words may differ from answer to answer; its status is what makes it another
  // problem.
  auto kind = answer.status == 0 ? answer.error : cat(answer.status);
  if (kind == told_ || (!told_.empty() && now_ns - told_at_ns_ < kTellAgainAfter.count())) return;
  log_warning(cat(answer.status == 0 ? "cannot reach " : "cannot deliver to ", stats_.name, ": ",
                  problem(answer), "; ", grouped(buffer_.state(endpoint_).samples),
                  " samples kept, next try in ", duration_text(wait.count())));
  told_ = std::move(kind);
  told_at_ns_ = now_ns;
}

}  // namespace msp
