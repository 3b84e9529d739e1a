#include "agent/sources/probe/http_probe.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "agent/base/text.h"
#include "agent/http/answer.h"
#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

namespace {

constexpr std::string_view kPhases[http::kHttpPhases] = {"resolve", "connect", "tls", "processing",
                                                         "transfer"};

bool is_tls(const http::HttpTrace& trace) {
  return trace.status != 0 && trace.tls_us != 0;
}

}  // namespace

HttpProbe::HttpProbe(SourceOptions&& options, const http::HttpOptions& http, Setup&& setup,
                     http::Transfers& transfers, Clock& clock)
    : Probe(std::move(options), http, transfers, clock), setup_(std::move(setup)) {}

http::HttpRequest HttpProbe::request() {
  http::HttpRequest request;
  request.method = setup_.method;
  request.content_max = setup_.body_bytes_max;
  request.keeps_content = !setup_.forbidden.empty() || !setup_.required.empty();
  request.preferred_ip = setup_.preferred_ip;
  return request;
}

std::string HttpProbe::problem_of(const http::HttpAnswer& answer, const http::HttpTrace& trace,
                                  bool& is_regex) const {
  const auto& codes = setup_.valid_status_codes;
  const bool is_valid = codes.empty()
                            ? trace.status >= 200 && trace.status < 300
                            : std::find(codes.begin(), codes.end(), trace.status) != codes.end();
  if (trace.status == 0) return reason_of(answer);
  if (!is_valid) return cat("HTTP ", trace.status);
  if (answer.status == 0) return reason_of(answer);  // the body did not come to its end
  const auto matches = [&](const Filter& filter) { return filter(answer.content); };
  is_regex = true;
  if (std::any_of(setup_.forbidden.begin(), setup_.forbidden.end(), matches)) {
    return "the body matches an expression of fail_if_body_matches_regexp";
  }
  if (!std::all_of(setup_.required.begin(), setup_.required.end(), matches)) {
    return "the body does not match an expression of fail_if_body_not_matches_regexp";
  }
  is_regex = false;
  if (is_tls(trace) && setup_.fails_if_ssl) return "the answer came over TLS (fail_if_ssl)";
  if (!is_tls(trace) && setup_.fails_if_not_ssl) {
    return "the answer did not come over TLS (fail_if_not_ssl)";
  }
  return {};
}

std::string HttpProbe::judge(const http::HttpAnswer& answer, http::HttpTrace& trace,
                             metrics::SeriesWriter& out) {
  bool is_regex = false;
  auto problem = problem_of(answer, trace, is_regex);
  const bool has_answer = trace.status != 0;
  out.add(kHttpStatus, trace.status);
  // As the exporter: of a name that does not resolve there is one phase only, and a redirect that is
  // not followed is one, whose body is not read.
  const bool is_left = !http().follow_redirects && !answer.moved_to.empty();
  const auto phases = trace.home_address.empty() ? 1 : http::kHttpPhases;
  for (std::size_t i = 0; i < phases; ++i) {
    out.add(kHttpDuration, {kPhases[i]}, static_cast<double>(trace.phases_us[i]) / 1e6);
  }
  out.add(kHttpContentLength, has_answer ? static_cast<double>(trace.content_length) : 0);
  out.add(kHttpBodyLength, is_left ? 0 : static_cast<double>(trace.body_bytes));
  out.add(kHttpRedirects, is_left ? 1 : trace.redirects);
  out.add(kHttpSsl, is_tls(trace) ? 1 : 0);
  out.add(kHttpVersion, has_answer ? trace.http_version / 10.0 : 0);
  out.add(kFailedByRegex, is_regex ? 1 : 0);
  if (const auto at_s = http::http_date(answer.header("Last-Modified"))) {
    out.add(kHttpLastModified, static_cast<double>(*at_s));
  }
  if (has_answer) add_tls(trace.handshake, out);
  return problem;
}

}  // namespace msp::sources
