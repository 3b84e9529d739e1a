#include "agent/delivery/sender.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/clock_skew.h"

namespace msp {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kBackoffFirst{1};
constexpr seconds kBackoffMax{60};
constexpr seconds kHold{60};
// Added to what a server asks for in Retry-After, so that not all come back in that second.
constexpr double kRetryAfterJitter = 0.1;
// Problems that take turns are not told at every turn; one that lasts is told again, so that the
// end of a log shows it.
constexpr nanoseconds kTellOtherAfter = seconds{60};
constexpr nanoseconds kTellAgainAfter = seconds{3600};

nanoseconds times(nanoseconds duration, double factor) {
  return nanoseconds(static_cast<std::int64_t>(factor * static_cast<double>(duration.count())));
}

bool is_overload(const HttpAnswer& answer, std::int64_t took_ns) {
  return answer.status == 429 || answer.status == 503 ||
         (answer.status == 0 && took_ns > FlowControl::kSlowNs);
}

}  // namespace

nanoseconds backoff(int failures, double random) {
  const auto doublings = std::clamp(failures - 1, 0, 16);
  return times(std::min<nanoseconds>(kBackoffFirst * (1 << doublings), kBackoffMax), random);
}

nanoseconds hold_time(double random) {
  return times(kHold, 0.75 + random / 2);
}

Sender::Sender(const EndpointConfig& config, std::size_t endpoint, Buffer& buffer,
               EndpointStats& stats)
    : config_(config),
      endpoint_(endpoint),
      buffer_(buffer),
      stats_(stats),
      http_(config, stop_at_ns_),
      client_(
          config.protocol,
          [this](std::string_view body, const std::vector<std::string>& headers) {
            stats_.request_since_ns = monotonic_ns();
            auto answer = http_.post(body, headers);
            stats_.request_since_ns = 0;
            return answer;
          },
          stats),
      flow_(config.catch_up_rate) {}

void Sender::stop_at(std::int64_t deadline_ns) {
  stop_at_ns_ = deadline_ns;
}

void Sender::run() {
  take_over_earlier_run();
  for (;;) {
    if (!buffer_.wait(endpoint_)) return;
    const bool last_try = stopping();
    if (last_try && time_is_up()) return;
    if (!last_try && monotonic_ns() < resume_ns_) {
      buffer_.pause(endpoint_, resume_ns_);
      continue;
    }
    auto* const shipment = next_shipment(last_try);
    const bool sent = shipment != nullptr && send(*shipment);
    if (last_try && !sent) return;
  }
}

/// A backlog at the start is one of an outage, or of a host that was away, like others.
void Sender::take_over_earlier_run() {
  const auto waiting = buffer_.state(endpoint_);
  if (waiting.samples == 0) return;
  // In milliseconds: a timestamp from a disk may be too far away for nanoseconds.
  const auto age_ms = std::clamp<std::int64_t>(
      wall_ns() / kNsPerMs - std::max<std::int64_t>(waiting.oldest_timestamp_ms, 0), 0,
      FlowControl::kWaitMaxNs / kNsPerMs);
  flow_.after_outage(age_ms * kNsPerMs, random(), monotonic_ns());
}

/// `automatic`: not known yet. An endpoint that wants samples in order would refuse all older ones
/// once it has the newest.
Order Sender::order() const {
  if (config_.known_order() != Order::automatic) return config_.known_order();
  const auto any = client_.takes_any_order();
  if (!any) return Order::automatic;
  return *any ? Order::fresh_first : Order::oldest_first;
}

/// Null where nothing is to be sent now; then it has waited.
Splitter* Sender::next_shipment(bool last_try) {
  if (fresh_.in_progress()) return &fresh_;
  const bool fresh_first = order() == Order::fresh_first;
  const bool unknown = order() == Order::automatic;
  bool backlog_has_newest = false;
  if (fresh_first) {
    const bool backlog_first = backlog_turn_ && monotonic_ns() >= flow_.ready_ns();
    if (!backlog_first && buffer_.peek_newest(endpoint_, fresh_.batch())) {
      // It came while the backlog was read, or before its order was known.
      backlog_has_newest =
          !backlog_.done() && backlog_.batch().last_sequence() >= fresh_.batch().last_sequence();
      if (!backlog_has_newest || !backlog_.in_progress()) {
        if (backlog_has_newest) backlog_.release();
        fresh_.start();
        return &fresh_;
      }
    }
  }
  if (backlog_.done()) {
    const auto fits = std::min(flow_.samples_max(), client_.samples_max());
    const bool is_try = failures_ > 0 || unknown;
    const std::size_t samples_max = is_try ? 1 : fits;  // a small one
    if (!buffer_.peek(endpoint_, samples_max, backlog_.batch())) return nullptr;
    backlog_.start();
  }
  const bool is_live = !fresh_first && backlog_.batch().sequences().size() == 1 &&
                       buffer_.state(endpoint_).samples <= backlog_.batch().samples();
  if (is_live || last_try || unknown) return &backlog_;
  if (monotonic_ns() >= flow_.ready_ns()) return &backlog_;
  if (fresh_first && !backlog_has_newest) {
    buffer_.wait_newest(endpoint_, flow_.ready_ns());
  } else {
    buffer_.pause(endpoint_, flow_.ready_ns());
  }
  return nullptr;
}

/// One request, or a few where the first was not understood. False where the endpoint takes nothing
/// now.
bool Sender::send(Splitter& shipment) {
  const auto began_ns = monotonic_ns();
  const auto report = client_.send_next(shipment);
  const auto ended_ns = monotonic_ns();
  compare_clocks(report.answer, ended_ns - began_ns);
  if (report.outcome == RemoteWriteClient::Outcome::try_again ||
      report.outcome == RemoteWriteClient::Outcome::hold) {
    if (is_overload(report.answer, ended_ns - began_ns)) flow_.overloaded(began_ns, ended_ns);
    if (!backlog_.in_progress()) backlog_.release();
    if (!time_is_up()) on_failure(report);
    return false;
  }
  backlog_turn_ = &shipment == &fresh_;
  if (&shipment == &backlog_) flow_.answered(report.delivered, began_ns, ended_ns);
  if (report.delivered > 0) {
    on_delivered(report.delivered, report.answer);
    const auto has_more = [&] {
      return buffer_.state(endpoint_).samples > shipment.batch().samples();
    };
    if (order() == Order::automatic && has_more()) client_.ask_for_order(shipment.batch());
  }
  if (report.outcome == RemoteWriteClient::Outcome::fewer_scrapes) {
    shipment.release();
  } else if (shipment.done()) {
    finish(shipment);
  }
  return true;
}

void Sender::finish(Splitter& shipment) {
  buffer_.ack(endpoint_, shipment.batch());
  if (shipment.refused_samples() > 0) {
    if (!shipment.accepted_any()) stats_.state = EndpointState::refusing;
    on_dropped(shipment);
  } else {
    told_rejection_ = false;
  }
  if (buffer_.state(endpoint_).samples == 0) on_nothing_left();
}

void Sender::on_delivered(std::size_t samples, const HttpAnswer& answer) {
  stats_.state = EndpointState::delivering;
  tell_doubt(doubt_about(answer));
  stats_.last_success_ms = wall_ns() / kNsPerMs;
  if (failing_since_ns_ != 0) caught_up_ += samples;
  if (std::exchange(failures_, 0) > 0) {
    const auto now_ns = monotonic_ns();
    flow_.after_outage(now_ns - first_failure_ns_, random(), now_ns);
  }
  if (answer.moved_to == told_moved_to_) return;
  told_moved_to_ = answer.moved_to;
  if (told_moved_to_.empty() || !moved_lines_.pass(monotonic_ns())) return;
  log_warning(cat(stats_.name, " has moved: set url to ", told_moved_to_));
}

void Sender::tell_doubt(const std::string& doubt) {
  stats_.set_answer_problem(doubt);
  const bool is_new = !std::exchange(told_doubt_, !doubt.empty());
  if (doubt.empty() || !is_new || !doubt_lines_.pass(monotonic_ns())) return;
  log_warning(cat(stats_.name, ": ", doubt));
}

/// An answer that took long was dated long ago.
void Sender::compare_clocks(const HttpAnswer& answer, std::int64_t took_ns) {
  if (!answer.date_s || took_ns > FlowControl::kSlowNs) return;
  const auto host_s = wall_ns() / kNsPerSecond;
  const auto ahead_s = host_s - *answer.date_s;
  const bool agree = std::abs(ahead_s) <= kSkewSecondsMax;
  const auto text = agree ? std::string() : skew_text(host_s, *answer.date_s, is_clock_kept());
  stats_.set_clock_problem(text);
  // A clock at the limit is told once, not each time it crosses it.
  if (std::abs(ahead_s) <= kSkewSecondsMax / 2) told_skew_ = false;
  if (text.empty() || std::exchange(told_skew_, true) || !skew_lines_.pass(monotonic_ns())) return;
  log_warning(cat(stats_.name, ": ", text,
                  "; samples carry this host's time, and a centre may drop them without an error"));
}

void Sender::on_dropped(const Splitter& shipment) {
  stats_.samples_rejected += shipment.refused_samples();
  stats_.set_last_error(client_.refusal());
  if (std::exchange(told_rejection_, true) || !rejection_lines_.pass(monotonic_ns())) return;
  // Thanos answers 409 to a request of which it has stored a part.
  const auto* const fate = client_.refusal().starts_with("HTTP 409")
                               ? " dropped (some of them may be stored), the first of "
                               : " dropped, the first of ";
  log_error(cat(stats_.name, " refuses samples: ", client_.refusal(), "; ",
                grouped(shipment.refused_samples()), fate, shipment.refused_series(),
                "; look at the centre's limits; msp_agent_samples_dropped_total counts them"));
}

/// Until the next tick the host has what encoding and TLS needed.
void Sender::on_nothing_left() {
  fresh_.release();
  backlog_.release();
  client_.release();
  backlog_turn_ = false;
  malloc_trim(0);
  // Nothing waits because all of it was refused or dropped: that is no delivery.
  if (failing_since_ns_ == 0 || caught_up_ == 0) return;
  if (!told_.empty()) {
    log_info(cat("delivered again to ", stats_.name, " after ",
                 duration_text(monotonic_ns() - failing_since_ns_), ", ", grouped(caught_up_),
                 " samples caught up"));
  }
  failing_since_ns_ = 0;
  caught_up_ = 0;
  told_.clear();
}

void Sender::on_failure(const RemoteWriteClient::Report& report) {
  const bool hold = report.outcome == RemoteWriteClient::Outcome::hold;
  stats_.state = hold ? EndpointState::misconfigured : EndpointState::retrying;
  stats_.set_last_error(problem_text(report.answer));
  ++stats_.retries;
  caught_up_ = 0;
  backlog_turn_ = false;
  const auto now_ns = monotonic_ns();
  if (++failures_ == 1) first_failure_ns_ = now_ns;
  if (failing_since_ns_ == 0) failing_since_ns_ = now_ns;
  auto wait = hold ? hold_time(random()) : backoff(failures_, random());
  if (!hold && report.answer.retry_after > seconds(0)) {
    wait = times(report.answer.retry_after, 1 + kRetryAfterJitter * random());
  }
  resume_ns_ = now_ns + wait.count();
  tell_failure(report, wait.count());
}

void Sender::tell_failure(const RemoteWriteClient::Report& report, std::int64_t wait_ns) {
  // The server's words may differ from answer to answer; its status is what makes it another
  // problem.
  const auto& answer = report.answer;
  auto kind = answer.status == 0 ? answer.error : cat(answer.status);
  const auto now_ns = monotonic_ns();
  const auto silence = kind == told_ ? kTellAgainAfter : kTellOtherAfter;
  if (!told_.empty() && now_ns - told_at_ns_ < silence.count()) return;
  const bool lasts = now_ns - failing_since_ns_ >= kTellOtherAfter.count();
  if (told_.empty() && !lasts && !failure_lines_.pass(now_ns)) return;
  told_ = std::move(kind);
  told_at_ns_ = now_ns;
  const auto advice = report.advice;
  const auto text =
      cat(stats_.state == EndpointState::retrying && answer.status == 0 ? "cannot reach "
                                                                        : "cannot deliver to ",
          stats_.name, ": ", problem_text(answer), "; ", advice, advice.empty() ? "" : "; ",
          grouped(buffer_.state(endpoint_).samples), " samples kept, next try in ",
          duration_text(wait_ns));
  report.outcome == RemoteWriteClient::Outcome::hold ? log_error(text) : log_warning(text);
}

}  // namespace msp
