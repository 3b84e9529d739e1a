#include "agent/sources/probe/probe.h"

#include <arpa/inet.h>

#include <algorithm>
#include <span>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/sources/probe/metrics.h"

namespace msp::sources {

using namespace probe_metrics;

namespace {

constexpr std::int64_t kLookNs = 3600 * kNsPerSecond;  // it wakes the agent when it has ended
// Beyond the timeout, for the words of what failed.
constexpr std::chrono::milliseconds kGrace{250};

SourceOptions with_deadline(SourceOptions options, const http::HttpOptions& http) {
  options.deadline = std::min<std::chrono::nanoseconds>(http.timeout + kGrace, options.interval);
  return options;
}

/// What has not come by then is a failure of the service, and that is said before the next probe.
http::HttpOptions with_time_to_say(http::HttpOptions http, const SourceOptions& options) {
  const auto most = std::chrono::floor<std::chrono::milliseconds>(options.interval) - kGrace;
  http.timeout = std::min(http.timeout, most);
  return http;
}

/// FNV-1a of 32 bits.
double hash_of(std::span<const unsigned char> bytes) {
  std::uint32_t hash = 2166136261u;
  for (const auto byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

/// Of "192.0.2.7:443" or "[::1]:443"; empty: the name does not resolve.
void add_address(const std::string& address, metrics::SeriesWriter& out) {
  unsigned char bytes[sizeof(in6_addr)] = {};
  const bool is_ip6 = address.starts_with('[');
  const auto host = address.substr(is_ip6 ? 1 : 0, address.rfind(':') - (is_ip6 ? 2 : 0));
  const bool is_known =
      !address.empty() && inet_pton(is_ip6 ? AF_INET6 : AF_INET, host.c_str(), bytes) == 1;
  out.add(kIpProtocol, !is_known ? 0 : is_ip6 ? 6 : 4);
  out.add(kIpHash, is_known ? hash_of({bytes, is_ip6 ? std::size_t{16} : 4}) : 0);
}

}  // namespace

void add_tls(const http::Handshake& handshake, metrics::SeriesWriter& out) {
  if (handshake.version.empty()) return;
  out.add(kEarliestExpiry, static_cast<double>(handshake.chain_not_after_s));
  if (handshake.verified_not_after_s != 0) {
    out.add(kChainExpiry, static_cast<double>(handshake.verified_not_after_s));
  }
  auto version = handshake.version;  // "TLSv1.3"; Go says "TLS 1.3"
  std::replace(version.begin(), version.end(), 'v', ' ');
  out.add(kTlsVersion, {version}, 1);
  out.add(kTlsCipher, {handshake.cipher}, 1);
}

std::string reason_of(const http::HttpAnswer& answer) {
  return answer.error.substr(0, answer.error.find("; "));
}

Probe::Probe(SourceOptions&& options, const http::HttpOptions& http, http::Transfers& transfers,
             Clock& clock)
    : Target(with_deadline(std::move(options), http), clock),
      peer_(transfers.peer(with_time_to_say(http, this->options()))) {}

std::int64_t Probe::wait_ns() {
  return started_ && peer_->is_running() ? kLookNs : 0;
}

void Probe::start(const metrics::Tick&) {
  auto wanted = request();
  wanted.is_probe = true;
  started_ = peer_->start(std::move(wanted), body());
}

Result<void> Probe::collect(const metrics::Tick&, metrics::SeriesWriter& out) {
  problem_.clear();
  if (!started_) return started_;
  auto outcome = peer_->take();
  if (!outcome) return failed("the probe was not made in time");
  auto& [answer, trace] = *outcome;
  if (answer.is_own_fault) return failed(answer.error);
  problem_ = judge(answer, trace, out);
  out.add(kProbeSuccess, problem_.empty() ? 1 : 0);
  out.add(kProbeDuration, static_cast<double>(trace.took_us) / 1e6);
  out.add(kProbeLookup, static_cast<double>(trace.home_resolved_us) / 1e6);
  add_address(trace.home_address, out);
  return {};
}

void Probe::add_about(metrics::SeriesWriter&, SourceHealth& health) {
  if (problem_.empty()) return;
  health.is_up = false;
  health.error = problem_;
}

}  // namespace msp::sources
