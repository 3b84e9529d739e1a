#include "agent/delivery/sender.h"

#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/clock_skew.h"

namespace msp::delivery {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr seconds kBackoffFirst{1};
constexpr seconds kBackoffMax{60};
constexpr seconds kHold{60};
// What a relay received goes on together with what comes within this time.
constexpr std::int64_t kRequestWaitNs = 250 * kNsPerMs;
constexpr std::int64_t kReleaseApartNs = 2 * kNsPerSecond;
// Added to what a server asks for in Retry-After, so that not all come back in that second.
constexpr double kRetryAfterJitter = 0.1;
// Problems that take turns are not told at every turn; one that lasts is told again, so that the
// end of a log shows it.
constexpr nanoseconds kTellOtherAfter = seconds{60};
constexpr nanoseconds kTellAgainAfter = seconds{3600};

nanoseconds times(nanoseconds duration, double factor) {
  return nanoseconds(static_cast<std::int64_t>(factor * static_cast<double>(duration.count())));
}

bool is_overload(const http::HttpAnswer& answer, std::int64_t took_ns) {
  return answer.status == 429 || answer.status == 503 || took_ns > FlowControl::kSlowNs;
}

}  // namespace

nanoseconds backoff(int failures, double random) {
  const auto doublings = std::clamp(failures - 1, 0, 16);
  return times(std::min<nanoseconds>(kBackoffFirst * (1 << doublings), kBackoffMax), random);
}

nanoseconds hold_time(double random) {
  return times(kHold, 0.75 + random / 2);
}

Sender::Sender(const Setup& setup, RemoteWriteClient::Post post, StopToken stop)
    : setup_(setup),
      stop_(std::move(stop)),
      config_(setup_.endpoint),
      queue_(setup_.queue),
      consumer_(setup_.consumer),
      stats_(setup_.stats),
      clock_(setup_.clock),
      client_(
          config_.protocol,
          [this, post = std::move(post)](std::string_view body,
                                         const std::vector<std::string>& headers) {
            stats_.request_since_ns = clock_.monotonic_ns();
            auto answer = post(body, headers);
            stats_.request_since_ns = 0;
            return answer;
          },
          stats_, clock_),
      flow_(config_.catch_up_rate, send_every_ns()),
      relabel_(config_.relabel),
      random_(setup_.seed) {
  stats_.timeout_ns = std::chrono::nanoseconds(config_.timeout).count();
  if (!config_.relabel.empty()) {
    const auto edit = [this](const metrics::SeriesPtr& series) { return relabel_(series); };
    live_.batch().set_edit(edit);
    backlog_.batch().set_edit(edit);
  }
  take_over_earlier_run();
}

Sender::~Sender() {
  put_back(live_);
  put_back(backlog_);
}

std::int64_t Sender::send_every_ns() const {
  const auto every = std::max(config_.send_every, setup_.interval);
  return std::chrono::nanoseconds(every).count();
}

/// The same for both lanes, so that each entry is in one of them. After a failure live is a small
/// try: the newest of each stream alone.
std::int64_t Sender::live_since_ns() const {
  return failures_ == 0 ? clock_.monotonic_ns() - send_every_ns() * 3 / 2 : kNeverNs;
}

/// A backlog at the start is one of an outage, or of a host that was away, like others.
void Sender::take_over_earlier_run() {
  const auto waiting = queue_.state(consumer_);
  if (waiting.samples == 0) return;
  has_backlog_ = true;
  // In milliseconds: a timestamp from a disk may be too far away for nanoseconds.
  const auto age_ms = std::clamp<std::int64_t>(
      clock_.wall_ns() / kNsPerMs - std::max<std::int64_t>(waiting.oldest_timestamp_ms, 0), 0,
      FlowControl::kWaitMaxNs / kNsPerMs);
  flow_.after_outage(age_ms * kNsPerMs, random(), clock_.monotonic_ns());
}

Sender::Next Sender::step() {
  const bool is_last_try = stop_.stop_requested();
  if (!queue_.has_waiting(consumer_)) return {.due_ns = kNeverNs, .is_idle = true};
  const auto now_ns = clock_.monotonic_ns();
  if (!is_last_try && now_ns < resume_ns_) {
    queue_.expect_backlog(consumer_);
    return {.due_ns = resume_ns_};
  }
  auto due_ns = kNeverNs;
  auto* const splitter = next_to_send(is_last_try, due_ns);
  if (splitter == nullptr) return {.due_ns = due_ns};
  if (splitter->done()) {  // the rules of the endpoint leave nothing of it
    finish(*splitter);
    return {.due_ns = now_ns, .made_progress = true};
  }
  const bool sent = send(*splitter);
  return {.due_ns = sent ? now_ns : std::max(resume_ns_, now_ns), .made_progress = sent};
}

/// `automatic`: not known yet. An endpoint that wants samples in order would refuse all older ones
/// once it has the newest.
config::Order Sender::order() const {
  if (config_.known_order() != config::Order::automatic) return config_.known_order();
  const auto any = client_.takes_any_order();
  if (!any) return config::Order::automatic;
  return *any ? config::Order::fresh_first : config::Order::oldest_first;
}

/// Null where nothing is to be sent now: `due_ns` is when to look again.
Splitter* Sender::next_to_send(bool is_last_try, std::int64_t& due_ns) {
  if (!live_.done()) return &live_;
  const bool fresh_first = order() == config::Order::fresh_first;
  const bool backlog_first = backlog_turn_ && clock_.monotonic_ns() >= flow_.ready_ns();
  if (fresh_first && !backlog_first && begin_live(queue::Wanted::Lane::live, is_last_try, due_ns)) {
    return &live_;
  }
  if (backlog_.done()) {
    // In order and without a backlog, what waits is live as well, and goes at the same times.
    const bool in_order = order() == config::Order::oldest_first && !has_backlog_ && failures_ == 0;
    if (in_order)
      return begin_live(queue::Wanted::Lane::all, is_last_try, due_ns) ? &live_ : nullptr;
  }
  if (auto* const backlog = begin_backlog(fresh_first, is_last_try, due_ns)) return backlog;
  const bool live_is_next = fresh_first && backlog_first;
  return live_is_next && begin_live(queue::Wanted::Lane::live, is_last_try, due_ns) ? &live_
                                                                                    : nullptr;
}

bool Sender::begin_live(queue::Wanted::Lane lane, bool is_last_try, std::int64_t& due_ns) {
  const auto now_ns = clock_.monotonic_ns();
  const queue::Wanted wanted{
      .lane = lane,
      .samples_max = std::min(FlowControl::kSamplesMax, client_.samples_max()),
      .live_since_ns = live_since_ns()};
  if (!queue_.read(consumer_, wanted, live_.batch())) {
    live_waits_since_ns_ = 0;
    return false;
  }
  // What did not fit would otherwise wait as long again, and be more each time.
  const bool is_cut =
      live_.batch().is_full() || (lane == queue::Wanted::Lane::all &&
                                  queue_.state(consumer_).samples > live_.batch().samples());
  if (!is_last_try && failures_ == 0 && !is_cut && !is_due(live_.batch(), now_ns, due_ns)) {
    put_back(live_);
    return false;
  }
  live_waits_since_ns_ = 0;
  if (live_sent_ns_ != 0) flow_.live_begins(now_ns - live_sent_ns_);
  live_sent_ns_ = now_ns;
  live_.start();
  return true;
}

bool Sender::is_due(const queue::Batch& batch, std::int64_t now_ns, std::int64_t& due_ns) {
  bool has_lead = false;
  bool has_request = false;
  for (const auto& entry : batch.entries()) {
    has_lead = has_lead || entry.stream_name() == kLeadStream || entry.stream_name().empty();
    has_request = has_request || entry.request != nullptr;
  }
  const auto interval_ns = std::chrono::nanoseconds(setup_.interval).count();
  const bool every_scrape = send_every_ns() <= interval_ns;
  const auto ready_ns =
      every_scrape || live_sent_ns_ == 0 ? 0 : live_sent_ns_ + send_every_ns() - interval_ns / 2;
  if (has_lead && now_ns >= ready_ns) return true;
  if (live_waits_since_ns_ == 0) live_waits_since_ns_ = now_ns;
  const auto wait_ns = has_request ? kRequestWaitNs : send_every_ns();
  const auto latest_ns = live_waits_since_ns_ + wait_ns;
  if (now_ns >= latest_ns) return true;
  due_ns = std::min(due_ns, latest_ns);
  return false;
}

Splitter* Sender::begin_backlog(bool fresh_first, bool is_last_try, std::int64_t& due_ns) {
  const auto now_ns = clock_.monotonic_ns();
  const bool is_unknown = order() == config::Order::automatic;
  if (backlog_.done()) {
    const auto fits = std::min(flow_.samples_max(), client_.samples_max());
    const bool is_try = failures_ > 0 || is_unknown;  // a small one
    const queue::Wanted wanted{
        .lane = fresh_first ? queue::Wanted::Lane::backlog : queue::Wanted::Lane::all,
        .samples_max = is_try ? 1 : fits,
        .live_since_ns = live_since_ns()};
    if (!queue_.read(consumer_, wanted, backlog_.batch())) return nullptr;
    backlog_.start();
  }
  if (is_last_try || is_unknown || now_ns >= flow_.ready_ns()) return &backlog_;
  queue_.expect_backlog(consumer_);
  due_ns = std::min(due_ns, flow_.ready_ns());
  return nullptr;
}

void Sender::put_back(Splitter& splitter) {
  queue_.release(consumer_, splitter.batch());
  splitter.release();
}

/// One request, or a few where the first was not understood. False where the endpoint takes nothing
/// now.
bool Sender::send(Splitter& sent) {
  const auto began_ns = clock_.monotonic_ns();
  const auto report = client_.send_next(sent);
  const auto ended_ns = clock_.monotonic_ns();
  compare_clocks(report.answer, ended_ns - began_ns);
  if (report.outcome == RemoteWriteClient::Outcome::try_again ||
      report.outcome == RemoteWriteClient::Outcome::hold) {
    const bool overloaded = is_overload(report.answer, ended_ns - began_ns);
    if (overloaded) flow_.overloaded(began_ns, ended_ns);
    if (!sent.in_progress()) put_back(sent);
    if (!stop_.time_is_up()) on_failure(report, retry_wait(overloaded, ended_ns - began_ns));
    return false;
  }
  backlog_turn_ = &sent == &live_;
  if (&sent == &backlog_) flow_.answered(report.delivered, began_ns, ended_ns);
  if (report.delivered > 0) {
    on_delivered(report.delivered, report.answer);
    const auto has_more = [&] { return queue_.state(consumer_).samples > sent.batch().samples(); };
    if (order() == config::Order::automatic && has_more()) client_.ask_for_order(sent.batch());
  }
  if (report.outcome == RemoteWriteClient::Outcome::fewer_scrapes) {
    put_back(sent);
  } else if (sent.done()) {
    // In order, nothing is fresh before all of it is there.
    if (&sent == &backlog_ && order() == config::Order::fresh_first) {
      flow_.batch_ended(sent.batch().samples(), queue_.state(consumer_).samples, ended_ns);
    }
    finish(sent);
  }
  return true;
}

void Sender::finish(Splitter& sent) {
  const auto duplicates = sent.batch().duplicates();
  stats_.samples_relabeled += sent.batch().left_out();
  queue_.ack(consumer_, sent.batch());
  if (duplicates > 0) on_duplicates(duplicates);
  if (sent.refused_samples() > 0) {
    if (!sent.accepted_any()) stats_.state = EndpointState::refusing;
    on_dropped(sent);
  } else {
    told_rejection_ = false;
  }
  if (queue_.state(consumer_).samples == 0) on_nothing_left();
}

void Sender::on_delivered(std::size_t samples, const http::HttpAnswer& answer) {
  stats_.state = EndpointState::delivering;
  tell_doubt(doubt_about(answer));
  stats_.last_success_ms = clock_.wall_ns() / kNsPerMs;
  if (failing_since_ns_ != 0) caught_up_ += samples;
  if (std::exchange(failures_, 0) > 0) {
    const auto now_ns = clock_.monotonic_ns();
    flow_.after_outage(now_ns - first_failure_ns_, random(), now_ns);
  }
  if (answer.moved_to == told_moved_to_) return;
  told_moved_to_ = answer.moved_to;
  if (told_moved_to_.empty() || !moved_lines_.pass(clock_.monotonic_ns())) return;
  log_warning(cat(stats_.name, " has moved: set url to ", told_moved_to_));
}

void Sender::tell_doubt(const std::string& doubt) {
  stats_.set_answer_problem(doubt);
  const bool is_new = !std::exchange(told_doubt_, !doubt.empty());
  if (doubt.empty() || !is_new || !doubt_lines_.pass(clock_.monotonic_ns())) return;
  log_warning(cat(stats_.name, ": ", doubt));
}

/// An answer that took long was dated long ago.
void Sender::compare_clocks(const http::HttpAnswer& answer, std::int64_t took_ns) {
  if (!answer.date_s || took_ns > FlowControl::kSlowNs) return;
  const auto host_s = clock_.wall_ns() / kNsPerSecond;
  const auto ahead_s = host_s - *answer.date_s;
  stats_.clock_ahead_s = ahead_s;
  const bool agree = std::abs(ahead_s) <= kSkewSecondsMax;
  const auto text = agree ? std::string() : skew_text(host_s, *answer.date_s, is_clock_kept());
  stats_.set_clock_problem(text);
  // A clock at the limit is told once, not each time it crosses it.
  if (std::abs(ahead_s) <= kSkewSecondsMax / 2) told_skew_ = false;
  if (text.empty() || std::exchange(told_skew_, true) || !skew_lines_.pass(clock_.monotonic_ns()))
    return;
  log_warning(cat(stats_.name, ": ", text,
                  "; samples carry this host's time, and a centre may drop them without an error"));
}

void Sender::on_dropped(const Splitter& sent) {
  stats_.samples_rejected += sent.refused_samples();
  stats_.set_last_error(client_.refusal());
  if (std::exchange(told_rejection_, true) || !rejection_lines_.pass(clock_.monotonic_ns())) return;
  // Thanos answers 409 to a request of which it has stored a part.
  const auto* const fate = client_.refusal().starts_with("HTTP 409")
                               ? " dropped (some of them may be stored), the first of "
                               : " dropped, the first of ";
  log_error(cat(stats_.name, " refuses samples: ", client_.refusal(), "; ",
                grouped(sent.refused_samples()), fate, sent.refused_series(),
                "; look at the centre's limits; msp_agent_samples_dropped_total counts them"));
}

/// Two sources, or two metrics whose names became equal, have made one series.
void Sender::on_duplicates(std::size_t duplicates) {
  stats_.samples_duplicate += duplicates;
  if (std::exchange(told_duplicates_, true)) return;
  log_warning(cat(grouped(duplicates), " samples are not sent to ", stats_.name,
                  ": another sample of the same series has the same time; "
                  "msp_agent_samples_dropped_total counts them"));
}

/// Until the next tick the host has what encoding and TLS needed. A relay sends several times a second.
void Sender::on_nothing_left() {
  backlog_turn_ = false;
  has_backlog_ = false;
  if (const auto now_ns = clock_.monotonic_ns(); now_ns - released_ns_ >= kReleaseApartNs) {
    released_ns_ = now_ns;
    live_.release();
    backlog_.release();
    client_.release();
    malloc_trim(0);
  }
  // Nothing waits because all of it was refused or dropped: that is no delivery.
  if (failing_since_ns_ == 0 || caught_up_ == 0) return;
  if (!told_.empty()) {
    log_info(cat("delivered again to ", stats_.name, " after ",
                 duration_text(clock_.monotonic_ns() - failing_since_ns_), ", ",
                 grouped(caught_up_), " samples caught up"));
  }
  failing_since_ns_ = 0;
  caught_up_ = 0;
  told_.clear();
}

/// An endpoint that is away is tried once more soon, then once in the time of a live request: a fleet
/// costs it no more than when it works, and gives it fresh samples within that time of its return. One
/// that is overloaded is left alone for longer.
nanoseconds Sender::retry_wait(bool overloaded, std::int64_t took_ns) {
  const auto again = backoff(failures_ + 1, random());
  if (overloaded || failures_ == 0) return again;
  const auto apart = std::min(nanoseconds(send_every_ns()), nanoseconds(kBackoffMax));
  return std::max(apart - nanoseconds(took_ns), nanoseconds(0));
}

void Sender::on_failure(const RemoteWriteClient::Report& report, nanoseconds wait) {
  const bool hold = report.outcome == RemoteWriteClient::Outcome::hold;
  stats_.state = hold ? EndpointState::misconfigured : EndpointState::retrying;
  stats_.set_last_error(problem_text(report.answer));
  ++stats_.retries;
  caught_up_ = 0;
  backlog_turn_ = false;
  has_backlog_ = true;
  const auto now_ns = clock_.monotonic_ns();
  if (++failures_ == 1) first_failure_ns_ = now_ns;
  if (failing_since_ns_ == 0) failing_since_ns_ = now_ns;
  if (hold) {
    wait = hold_time(random());
  } else if (report.answer.retry_after > seconds(0)) {
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
  const auto now_ns = clock_.monotonic_ns();
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
          grouped(queue_.state(consumer_).samples), " samples kept, next try in ",
          duration_text(wait_ns));
  report.outcome == RemoteWriteClient::Outcome::hold ? log_error(text) : log_warning(text);
}

}  // namespace msp::delivery
