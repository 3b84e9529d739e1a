#include "agent/sources/probe/tcp_probe.h"

#include <utility>

#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

namespace {

void add_found(const std::vector<metrics::Label>& labels, metrics::SeriesWriter& out) {
  std::string key;
  for (const auto& [name, value] : labels)
    key.append(name).append(1, '\0').append(value).append(1, '\0');
  static_cast<void>(out.add_outside(key, 1, [&]() -> Result<metrics::NewSeries> {
    metrics::NewSeries made{labels, &kExpectInfo};
    made.labels.insert(made.labels.begin(),
                       {std::string(metrics::kMetricName), std::string(kExpectInfo.name)});
    return made;
  }));
}

}  // namespace

TcpProbe::TcpProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
                   http::Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), setup_(std::move(setup)) {}

http::HttpRequest TcpProbe::request() {
  http::HttpRequest request;
  request.only_connects = true;
  request.preferred_ip = setup_.preferred_ip;
  if (setup_.dialog) request.task = dialog_ = std::make_shared<TcpDialog>(setup_.dialog);
  return request;
}

std::string TcpProbe::judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                            metrics::SeriesWriter& out) {
  const auto dialog = std::move(dialog_);
  out.add(kFailedByRegex, dialog && dialog->failed_by_regex() ? 1 : 0);
  const auto* const handshake = dialog ? dialog->handshake() : &trace.handshake;
  if (handshake != nullptr) add_tls(*handshake, out);
  if (dialog == nullptr) return reason_of(answer);
  for (const auto& labels : dialog->found()) add_found(labels, out);
  if (dialog->is_done() || dialog->problem().empty()) return reason_of(answer);
  return dialog->problem().substr(0, dialog->problem().find("; "));
}

}  // namespace msp::sources
