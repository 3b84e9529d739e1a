#include "agent/delivery/client.h"

#include <algorithm>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/flow_control.h"
#include "agent/delivery/order_test.h"

namespace msp::delivery {

std::string problem_text(const http::HttpAnswer& answer) {
  if (answer.status == 0) return answer.error;
  auto text = cat("HTTP ", answer.status);
  if (!answer.moved_to.empty()) {
    if (answer.status < 400) return cat(text, ", a redirect to ", answer.moved_to);
    text += cat(" after a redirect to ", answer.moved_to);
  }
  auto words = std::string_view(answer.words);
  // "404 Not Found": a page has the status in its title.
  if (const auto number = cat(answer.status, " "); words.starts_with(number)) {
    words.remove_prefix(number.size());
  }
  if (!words.empty()) text += cat(": ", words);
  return text;
}

namespace {

/// What the endpoint says that it stored, where it says so.
std::optional<std::uint64_t> samples_written(const http::HttpAnswer& answer) {
  return parse_number<std::uint64_t>(answer.header("X-Prometheus-Remote-Write-Samples-Written"));
}

/// The endpoint counted what it stored: a header X-Prometheus-Remote-Write-*-Written.
bool has_counted(const http::HttpAnswer& answer) {
  for (const std::string_view what : {"Samples", "Histograms", "Exemplars"}) {
    if (!answer.header(cat("X-Prometheus-Remote-Write-", what, "-Written")).empty()) return true;
  }
  return false;
}

/// A server that does not know 2.0 may take its message for an empty one of 1.0, and answer 2xx.
bool is_confirmed(const http::HttpAnswer& answer, const Encoder::Part& part) {
  const bool stored_nothing = samples_written(answer) == 0 && part.samples > 0;
  return has_counted(answer) && !stored_nothing;
}

/// Why the endpoint gets another protocol than `wire`. Nobody made a mistake, and it says so.
std::string why_not(Wire wire, const http::HttpAnswer& answer) {
  const auto* const name = wire_name(wire);
  std::string why = cat("it does not take ", name, " (", problem_text(answer), ")");
  if (rule_for(answer.status).action == Action::delivered) {
    why = samples_written(answer) == 0 ? cat("it says that it stored none of the samples in ", name)
                                       : cat("it does not confirm what it gets in ", name);
  }
  return cat("; ", why, ". Nothing is lost, nothing has to be done");
}

}  // namespace

RemoteWriteClient::RemoteWriteClient(config::Protocol protocol, Post post, EndpointStats& stats,
                                     Clock& clock)
    : post_(std::move(post)),
      stats_(stats),
      clock_(clock),
      protocol_(protocol),
      run_(clock.wall_ns() / kNsPerMs),
      samples_max_(FlowControl::kSamplesMax) {
  stats_.protocol = wire_name(protocol_.in_use());
}

RemoteWriteClient::Report RemoteWriteClient::send_next(Splitter& shipment) {
  auto report = shipment.wants_probe() ? probe(shipment) : send_front(shipment);
  if (report.outcome == Outcome::progress && shipment.done()) {
    refused_whole_ = shipment.fruitless_tries() > 0;
    if (!refused_whole_) samples_max_ = std::min(samples_max_ * 2, FlowControl::kSamplesMax);
  }
  return report;
}

RemoteWriteClient::Exchange RemoteWriteClient::post(queue::Batch& batch, std::size_t rows_begin,
                                                    std::size_t rows_end, Wire wire) {
  const auto now_ns = clock_.monotonic_ns();
  // What a relay received is a message of 1.0.
  if (wire == Wire::prometheus_2_0 && batch.rows()[rows_begin].request != nullptr) {
    wire = Wire::prometheus_1_0;
  }
  auto part = encoder_.encode(batch, rows_begin, rows_end, wire, size_.raw_max(now_ns));
  auto answer = post_(part.body, wire_headers(wire));
  ++stats_.requests;
  stats_.bytes_sent += part.body.size();
  part.body = {};
  auto action = answer.is_own_fault ? Action::fix_configuration : rule_for(answer.status).action;
  const bool is_stored = wire != Wire::prometheus_2_0 || is_confirmed(answer, part);
  if (action == Action::delivered && !is_stored) action = Action::not_understood;
  return {action, std::move(answer), part, wire};
}

/// One part, in another encoding too where the first was not understood, or may not have been:
/// servers answer 400 to both, a bad encoding and a bad sample.
RemoteWriteClient::Exchange RemoteWriteClient::exchange(queue::Batch& batch, std::size_t rows_begin,
                                                        std::size_t rows_end, bool whole) {
  const auto wire = protocol_.wire(clock_.monotonic_ns());
  auto first = post(batch, rows_begin, rows_end, wire);
  if (first.wire != wire) return first;  // of a relay: it says nothing about the protocol
  const bool doubtful =
      first.action == Action::not_understood || (whole && first.action == Action::refused);
  const auto other = doubtful ? protocol_.other_than(first.wire) : std::nullopt;
  auto result = other ? post(batch, rows_begin, rows_end, *other) : first;
  if (result.action != Action::delivered) {
    const bool both_refused =
        first.action == Action::refused &&
        (result.action == Action::refused || result.action == Action::not_understood);
    return both_refused ? first : result;
  }
  if (protocol_.accepted(result.wire, clock_.monotonic_ns())) {
    takes_any_order_.reset();
    stats_.protocol = wire_name(result.wire);
    log_info(cat(stats_.name, " gets ", wire_name(result.wire), " from now on",
                 other ? why_not(first.wire, first.answer) : ", which it takes now"));
  }
  if (result.wire == Wire::victoriametrics) takes_any_order_ = true;
  return result;
}

RemoteWriteClient::Report RemoteWriteClient::send_front(Splitter& shipment) {
  const auto front = shipment.front();
  auto sent = exchange(front.batch, front.rows_begin, front.rows_end, shipment.is_whole());
  Report report;
  const auto rows_end = sent.part.rows_end;
  if (sent.action == Action::refused || sent.action == Action::conflict ||
      sent.action == Action::too_large) {
    refusal_ = problem_text(sent.answer);
  }
  switch (sent.action) {
    case Action::delivered:
      shipment.accepted(rows_end);
      report.delivered = count_written(sent);
      if (sent.part.unreadable_samples > 0) on_unreadable(sent.part.unreadable_samples);
      break;
    case Action::conflict:
      shipment.conflicted(rows_end);
      break;
    case Action::refused:
      shipment.refused(rows_end);
      on_refused(shipment, report);
      break;
    case Action::too_large:
      if (rows_end - front.rows_begin > 1) {
        size_.too_large(sent.part.raw_bytes, clock_.monotonic_ns());
      } else {
        shipment.row_too_large();
      }
      break;
    case Action::try_again:
      report.outcome = Outcome::try_again;
      break;
    case Action::not_understood:
    case Action::fix_configuration:
      report.outcome = Outcome::hold;
      report.advice = rule_for(sent.answer.status).advice;
      break;
  }
  report.answer = std::move(sent.answer);
  return report;
}

/// Of what was answered with 2xx, the samples that were stored.
std::size_t RemoteWriteClient::count_written(const Exchange& sent) {
  const auto samples = sent.part.samples;
  auto written = samples;
  const auto said = samples_written(sent.answer);
  if (sent.wire == Wire::prometheus_2_0 && said) {
    written = static_cast<std::size_t>(std::min<std::uint64_t>(samples, *said));
  }
  stats_.samples_sent += written;
  stats_.samples_rejected += samples - written;
  if (written < samples) tell_unwritten(samples - written, samples);
  return written;
}

void RemoteWriteClient::tell_unwritten(std::size_t unwritten, std::size_t samples) {
  if (!unwritten_lines_.pass(clock_.monotonic_ns())) return;
  log_error(cat(stats_.name, " accepts a request of ", grouped(samples),
                " samples and says that it ", "did not store ", grouped(unwritten),
                " of them, which are lost; look at the log and the limits of the centre; "
                "msp_agent_samples_dropped_total counts them"));
}

/// They were not in the request that was accepted.
void RemoteWriteClient::on_unreadable(std::size_t samples) {
  stats_.samples_rejected += samples;
  if (!unwritten_lines_.pass(clock_.monotonic_ns())) return;
  log_error(cat(grouped(samples), " samples for ", stats_.name,
                " are lost: the message of a relayed request cannot be decompressed; look at ",
                "the memory and the disk of this host"));
}

/// An answer that says nothing about order (a 503, a time-out) leaves the question open.
void RemoteWriteClient::ask_for_order(queue::Batch& batch) {
  const auto newer_ms = next_probe_ms();
  for (const auto timestamp_ms : {newer_ms, newer_ms - kNsPerSecond / kNsPerMs}) {
    auto sample = probe_for(batch, timestamp_ms, run_);
    const auto action = post(sample, 0, 1, protocol_.in_use()).action;
    if (action == Action::delivered) continue;
    if (action == Action::try_again || action == Action::fix_configuration) return;
    takes_any_order_ = false;
    log_info(
        cat(stats_.name,
            " takes no sample that is older than one it has: after an outage the oldest samples "
            "are sent first"));
    return;
  }
  takes_any_order_ = true;
}

/// Where nothing is accepted, there are quicker ways than to the last sample.
void RemoteWriteClient::on_refused(Splitter& shipment, Report& report) {
  const bool is_relayed = shipment.is_relayed();
  auto tries_max = refused_whole_ ? kFruitlessTriesAfterWholeMax : kFruitlessTriesMax;
  if (is_relayed) tries_max = kFruitlessTriesRelayedMax;
  if (shipment.wants_probe() || shipment.fruitless_tries() < tries_max) return;
  if (is_relayed) {
    shipment.refuse_rest();
  } else if (shipment.batch().entries().size() > 1) {
    samples_max_ = shipment.batch().samples() / 2;
    report.outcome = Outcome::fewer_scrapes;
  } else if (refused_whole_) {
    shipment.refuse_rest();
  }
}

/// An endpoint that wants samples in order would refuse a probe that is older than the last one, and
/// seem to refuse everything, until a clock that stepped back has caught up.
std::int64_t RemoteWriteClient::next_probe_ms() {
  probe_ms_ = std::max(probe_ms_ + 1, clock_.wall_ns() / kNsPerMs);
  return probe_ms_;
}

RemoteWriteClient::Report RemoteWriteClient::probe(Splitter& shipment) {
  auto batch = probe_for(shipment.batch(), next_probe_ms(), run_);
  auto sent = exchange(batch, 0, 1, true);
  Report report;
  switch (sent.action) {
    case Action::delivered:
      shipment.probe_accepted();
      break;
    case Action::try_again:
      report.outcome = Outcome::try_again;
      break;
    case Action::refused:
    case Action::conflict:
    case Action::too_large:
      shipment.probe_refused();
      size_.reset();
      report.outcome = Outcome::hold;
      report.advice = kRefusesEverything;
      break;
    case Action::not_understood:
    case Action::fix_configuration:
      report.outcome = Outcome::hold;
      report.advice = rule_for(sent.answer.status).advice;
      break;
  }
  report.answer = std::move(sent.answer);
  return report;
}

}  // namespace msp::delivery
