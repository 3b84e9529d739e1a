// The metrics of probes, with blackbox_exporter's names, labels and HELP.
#pragma once

#include <string_view>

#include "agent/metrics/sample.h"

namespace msp::sources::probe_metrics {

inline constexpr std::string_view kExporter = "the probe";

inline constexpr metrics::MetricDesc kProbeSuccess{
    "probe_success", "Displays whether or not the probe was a success", kExporter};
inline constexpr metrics::MetricDesc kProbeDuration{
    "probe_duration_seconds", "Returns how long the probe took to complete in seconds", kExporter};
inline constexpr metrics::MetricDesc kProbeLookup{
    "probe_dns_lookup_time_seconds", "Returns the time taken for probe dns lookup in seconds",
    kExporter};
inline constexpr metrics::MetricDesc kIpProtocol{
    "probe_ip_protocol", "Specifies whether probe ip protocol is IP4 or IP6", kExporter};
inline constexpr metrics::MetricDesc kIpHash{
    "probe_ip_addr_hash",
    "Specifies the hash of IP address. It's useful to detect if the IP address changes.",
    kExporter};
inline constexpr metrics::MetricDesc kEarliestExpiry{
    "probe_ssl_earliest_cert_expiry", "Returns last SSL chain expiry in unixtime", kExporter};
inline constexpr metrics::MetricDesc kChainExpiry{"probe_ssl_last_chain_expiry_timestamp_seconds",
                                                  "Returns last SSL chain expiry in timestamp",
                                                  kExporter};
inline constexpr metrics::MetricDesc kTlsVersion{"probe_tls_version_info",
                                                 "Returns the TLS version used or NaN when unknown",
                                                 kExporter, metrics::MetricType::gauge, "version"};
inline constexpr metrics::MetricDesc kTlsCipher{
    "probe_tls_cipher_info", "Returns the TLS cipher negotiated during handshake", kExporter,
    metrics::MetricType::gauge, "cipher"};
inline constexpr metrics::MetricDesc kFailedByRegex{
    "probe_failed_due_to_regex", "Indicates if probe failed due to regex", kExporter};
inline constexpr metrics::MetricDesc kExpectInfo{"probe_expect_info", "Explicit content matched",
                                                 kExporter};  // its labels are the configuration's
inline constexpr metrics::MetricDesc kHttpStatus{"probe_http_status_code",
                                                 "Response HTTP status code", kExporter};
inline constexpr metrics::MetricDesc kHttpDuration{
    "probe_http_duration_seconds", "Duration of http request by phase, summed over all redirects",
    kExporter, metrics::MetricType::gauge, "phase"};
inline constexpr metrics::MetricDesc kHttpContentLength{
    "probe_http_content_length", "Length of http content response", kExporter};
inline constexpr metrics::MetricDesc kHttpBodyLength{
    "probe_http_uncompressed_body_length", "Length of uncompressed response body", kExporter};
inline constexpr metrics::MetricDesc kHttpRedirects{"probe_http_redirects",
                                                    "The number of redirects", kExporter};
inline constexpr metrics::MetricDesc kHttpSsl{
    "probe_http_ssl", "Indicates if SSL was used for the final redirect", kExporter};
inline constexpr metrics::MetricDesc kHttpVersion{
    "probe_http_version", "Returns the version of HTTP of the probe response", kExporter};
inline constexpr metrics::MetricDesc kHttpLastModified{
    "probe_http_last_modified_timestamp_seconds",
    "Returns the Last-Modified HTTP response header in unixtime", kExporter};

inline constexpr metrics::MetricDesc kIcmpDuration{"probe_icmp_duration_seconds",
                                                   "Duration of icmp request by phase", kExporter,
                                                   metrics::MetricType::gauge, "phase"};
inline constexpr metrics::MetricDesc kIcmpHopLimit{
    "probe_icmp_reply_hop_limit", "Replied packet hop limit (TTL for ipv4)", kExporter};

inline constexpr metrics::MetricDesc kDnsDuration{"probe_dns_duration_seconds",
                                                  "Duration of DNS request by phase", kExporter,
                                                  metrics::MetricType::gauge, "phase"};
inline constexpr metrics::MetricDesc kDnsAnswer{
    "probe_dns_answer_rrs", "Returns number of entries in the answer resource record list",
    kExporter};
inline constexpr metrics::MetricDesc kDnsAuthority{
    "probe_dns_authority_rrs", "Returns number of entries in the authority resource record list",
    kExporter};
inline constexpr metrics::MetricDesc kDnsAdditional{
    "probe_dns_additional_rrs", "Returns number of entries in the additional resource record list",
    kExporter};
inline constexpr metrics::MetricDesc kDnsSucceeded{
    "probe_dns_query_succeeded", "Displays whether or not the query was executed successfully",
    kExporter};
inline constexpr metrics::MetricDesc kDnsSerial{"probe_dns_serial",
                                                "Returns the serial number of the zone", kExporter};

inline constexpr const metrics::MetricDesc* kAll[] = {
    &kDnsDuration,      &kDnsAnswer,     &kDnsAuthority,   &kDnsAdditional,     &kDnsSucceeded,
    &kDnsSerial,        &kIcmpDuration,  &kIcmpHopLimit,   &kChainExpiry,       &kEarliestExpiry,
    &kExpectInfo,       &kFailedByRegex, &kHttpBodyLength, &kHttpContentLength, &kHttpDuration,
    &kHttpLastModified, &kHttpRedirects, &kHttpSsl,        &kHttpStatus,        &kHttpVersion,
    &kIpHash,           &kIpProtocol,    &kProbeDuration,  &kProbeLookup,       &kProbeSuccess,
    &kTlsCipher,        &kTlsVersion};

}  // namespace msp::sources::probe_metrics
