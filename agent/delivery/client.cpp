#include "agent/delivery/client.h"

#include <algorithm>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/delivery/flow_control.h"
#include "agent/delivery/order_test.h"

namespace msp {

std::string problem_text(const HttpAnswer& answer) {
  if (answer.status == 0) return answer.error;
  auto text = cat("HTTP ", answer.status);
  auto words = std::string_view(answer.body);
  // "404 Not Found": a page has the status in its title.
  if (const auto number = cat(answer.status, " "); words.starts_with(number)) {
    words.remove_prefix(number.size());
  }
  if (!words.empty()) text += cat(": ", words);
  return text;
}

namespace {

/// Why another protocol than `wire` is spoken: no mistake of anybody's, so it says so.
std::string why_not(Wire wire, const HttpAnswer& answer) {
  const bool is_silent = rule_for(answer.status).action == Action::delivered;
  return cat("; it does not ", is_silent ? "confirm what it gets in " : "take ", wire_name(wire),
             is_silent ? "" : cat(" (", problem_text(answer), ")"),
             ". Nothing is lost, nothing is to be done");
}

}  // namespace

RemoteWriteClient::RemoteWriteClient(Protocol protocol, Post post, EndpointStats& stats,
                                     Clock& clock)
    : post_(std::move(post)),
      stats_(stats),
      clock_(clock),
      protocol_(protocol),
      samples_max_(FlowControl::kSamplesMax) {
  stats_.protocol = wire_name(protocol_.in_use()).data();
}

RemoteWriteClient::Report RemoteWriteClient::send_next(Splitter& shipment) {
  auto report = shipment.wants_probe() ? probe(shipment) : send_front(shipment);
  if (report.outcome == Outcome::progress && shipment.done()) {
    refused_whole_ = shipment.fruitless_tries() > 0;
    if (!refused_whole_) samples_max_ = std::min(samples_max_ * 2, FlowControl::kSamplesMax);
  }
  return report;
}

RemoteWriteClient::Exchange RemoteWriteClient::post(Batch& batch, std::size_t rows_begin,
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
  // A server that does not know 2.0 may take its message for an empty one of 1.0.
  const bool stored = wire != Wire::prometheus_2_0 || answer.written_header;
  if (action == Action::delivered && !stored) action = Action::not_understood;
  return {action, std::move(answer), part, wire};
}

/// One part, in another encoding too where the first was not understood, or may not have been:
/// servers answer 400 to both, a bad encoding and a bad sample.
RemoteWriteClient::Exchange RemoteWriteClient::exchange(Batch& batch, std::size_t rows_begin,
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
    stats_.protocol = wire_name(result.wire).data();
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
      report.delivered = sent.part.samples;
      stats_.samples_sent += sent.part.samples;
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

/// They were not in the request that was accepted.
void RemoteWriteClient::on_unreadable(std::size_t samples) {
  stats_.samples_rejected += samples;
  log_error(cat(grouped(samples), " samples for ", stats_.name,
                " are lost: the message of a relayed request cannot be decompressed; look at ",
                "the memory and the disk of this host"));
}

/// An answer that says nothing about order (a 503, a time-out) leaves the question open.
void RemoteWriteClient::ask_for_order(Batch& batch) {
  const auto newer_ms = next_probe_ms();
  for (const auto timestamp_ms : {newer_ms, newer_ms - kNsPerSecond / kNsPerMs}) {
    auto sample = probe_for(batch, timestamp_ms);
    const auto action = post(sample, 0, 1, protocol_.in_use()).action;
    if (action == Action::delivered) continue;
    if (action == Action::try_again || action == Action::fix_configuration) return;
    takes_any_order_ = false;
    log_info(cat(stats_.name,
                 " takes no sample that is older than one it has: what was kept in an outage goes "
                 "there before what is new"));
    return;
  }
  takes_any_order_ = true;
}

/// Where nothing is accepted, there are quicker ways than to the last sample.
void RemoteWriteClient::on_refused(Splitter& shipment, Report& report) {
  const auto tries_max = refused_whole_ ? kFruitlessTriesAfterWholeMax : kFruitlessTriesMax;
  if (shipment.wants_probe() || shipment.fruitless_tries() < tries_max) return;
  if (shipment.batch().entries().size() > 1) {
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
  auto batch = probe_for(shipment.batch(), next_probe_ms());
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
      report.advice =
          "it refuses everything: check the path in url (VictoriaMetrics and Prometheus: "
          "/api/v1/write, Mimir: /api/v1/push), and protocol";
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

}  // namespace msp
