#include "agent/run/self_metrics.h"

#include <unistd.h>

#include <algorithm>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::run {
namespace {

constexpr auto kCounter = metrics::MetricType::counter;
constexpr auto kGauge = metrics::MetricType::gauge;

constexpr std::string_view kSelf = "the agent";
constexpr std::string_view kEndpoint = "endpoint";

constexpr metrics::MetricDesc kBuildInfo{"msp_agent_build_info",
                                         "A constant 1 with the version of the running agent.",
                                         kSelf, kGauge, "version"};
constexpr metrics::MetricDesc kConfigHash{
    "msp_agent_config_hash",
    "Hash of the text of the configuration file that is in force, without the secrets in it.",
    kSelf, kGauge};
constexpr metrics::MetricDesc kReloadSuccessful{
    "msp_agent_config_last_reload_successful",
    "1: the last reload took the configuration over, or there "
    "was none; 0: there is an error in the "
    "file, and the configuration before it is in force.",
    kSelf, kGauge};
constexpr metrics::MetricDesc kStopReason{
    "msp_agent_stop_reason",
    "0 while the agent runs; in its last sample why it stops: 1 it was told to, 2 the host shuts "
    "down or reboots.",
    kSelf, kGauge};
constexpr metrics::MetricDesc kPreviousStopReason{
    "msp_agent_previous_stop_reason",
    "How the run before this one ended: 0 not known, 1 the agent was told to stop, 2 the host shut "
    "down or rebooted, 3 the agent was killed or crashed, 4 the host crashed or lost power.",
    kSelf, kGauge};
constexpr metrics::MetricDesc kTicksSkipped{
    "msp_agent_ticks_skipped_total",
    "Ticks at which nothing was collected: the host was suspended or overloaded.", kSelf, kCounter};
constexpr metrics::MetricDesc kDuplicates{
    "msp_agent_duplicate_samples_total",
    "Samples that were left out because their scrape had one of the same series before them.",
    kSelf, kCounter};
constexpr metrics::MetricDesc kCpuSeconds{"msp_agent_cpu_seconds_total",
                                          "User and system CPU time of the agent in seconds.",
                                          "clock_gettime(2)", kCounter};
constexpr metrics::MetricDesc kResidentMemory{"msp_agent_resident_memory_bytes",
                                              "Resident memory of the agent in bytes.",
                                              "/proc/self/statm", kGauge};
constexpr metrics::MetricDesc kSamplesSent{"msp_agent_samples_sent_total",
                                           "Samples that the endpoint has accepted.", kSelf,
                                           kCounter, kEndpoint};
constexpr metrics::MetricDesc kSamplesDropped{
    "msp_agent_samples_dropped_total",
    "Samples that will never reach the endpoint, by reason: rejected by the endpoint; left out by "
    "its relabel rules, once there are such samples; dropped from "
    "the buffer because of max_size, max_age, free_space, memory (the disk cannot be used), damage "
    "or too_large (a scrape of more than 262144 series fits into no segment).",
    kSelf, kCounter, "endpoint,reason"};
constexpr metrics::MetricDesc kRequests{"msp_agent_requests_total",
                                        "Requests to the endpoint, whatever the answer was.", kSelf,
                                        kCounter, kEndpoint};
constexpr metrics::MetricDesc kRetries{"msp_agent_retries_total",
                                       "Requests to the endpoint that failed and are sent again.",
                                       kSelf, kCounter, kEndpoint};
constexpr metrics::MetricDesc kBytesSent{
    "msp_agent_sent_bytes_total", "Bytes of request bodies, compressed, whatever the answer was.",
    kSelf, kCounter, kEndpoint};
constexpr metrics::MetricDesc kEndpointUp{
    "msp_agent_endpoint_up", "1: the endpoint accepted the last request, 0: it did not.", kSelf,
    kGauge, kEndpoint};
constexpr metrics::MetricDesc kLastSuccess{
    "msp_agent_endpoint_last_success_timestamp_seconds",
    "When the endpoint last accepted samples, in seconds since 1970, 0: not since the start.",
    kSelf, kGauge, kEndpoint};
constexpr metrics::MetricDesc kClockAhead{
    "msp_agent_endpoint_clock_difference_seconds",
    "How far this host's clock is ahead of the endpoint's, by the date of its last answer.", kSelf,
    kGauge, kEndpoint};
constexpr metrics::MetricDesc kProtocol{
    "msp_agent_endpoint_protocol_info",
    "A constant 1 with the protocol of the requests to the endpoint.", kSelf, kGauge,
    "endpoint,protocol"};
constexpr metrics::MetricDesc kBufferSamples{
    "msp_agent_buffer_samples", "Samples that wait for the endpoint.", kSelf, kGauge, kEndpoint};
constexpr metrics::MetricDesc kBufferOldest{
    "msp_agent_buffer_oldest_sample_age_seconds",
    "Age in seconds of the oldest sample that waits for the endpoint, 0: none waits.", kSelf,
    kGauge, kEndpoint};
constexpr metrics::MetricDesc kBufferBytes{
    "msp_agent_buffer_bytes", "Bytes of the buffer's segments on disk.", kSelf, kGauge};
constexpr metrics::MetricDesc kBufferSegments{"msp_agent_buffer_segments",
                                              "Files that the buffer has on disk.", kSelf, kGauge};
constexpr metrics::MetricDesc kBufferDamage{"msp_agent_buffer_corrupt_records_total",
                                            "Damaged places found in the buffer's files.", kSelf,
                                            kCounter};
constexpr metrics::MetricDesc kBufferMemoryOnly{
    "msp_agent_buffer_memory_fallback",
    "1 while the disk cannot be used and samples are kept in memory only, else 0.", kSelf, kGauge};
constexpr metrics::MetricDesc kBufferGuard{
    "msp_agent_buffer_free_space_guard",
    "1 while the buffer does not write because its file system is nearly full, else 0.", kSelf,
    kGauge};

constexpr metrics::MetricDesc kReceivedRequests{"msp_agent_received_requests_total",
                                                "Requests that a client of listen has sent.", kSelf,
                                                kCounter, "client"};
constexpr metrics::MetricDesc kReceivedRefused{
    "msp_agent_received_requests_refused_total",
    "Requests of a client that were refused, by reason: damaged, method, too_large, type (of "
    "content or encoding), buffer_full, unavailable (nothing can be kept), loop.",
    kSelf, kCounter, "client,reason"};
constexpr metrics::MetricDesc kReceivedSamples{"msp_agent_received_samples_total",
                                               "Samples that were taken from a client.", kSelf,
                                               kCounter, "client"};
constexpr metrics::MetricDesc kReceivedSkipped{
    "msp_agent_received_samples_skipped_total",
    "Samples of a client that were left out, because no receiver would take their series.", kSelf,
    kCounter, "client"};

double number(std::uint64_t count) {
  return static_cast<double>(count);
}

/// Of two endpoints with one address the older one is left out: it was removed from the
/// configuration, for another customer or tenant, and is there until it has got what is kept for it.
bool is_outlived(const delivery::EndpointStats& endpoint,
                 const std::list<delivery::EndpointStats>& all) {
  return std::ranges::any_of(all, [&](const delivery::EndpointStats& other) {
    return &other != &endpoint && other.name == endpoint.name && endpoint.removed &&
           (!other.removed || other.number > endpoint.number);
  });
}

}  // namespace

void SelfMetrics::add_to(metrics::SeriesWriter& out) {
  out.add(kBuildInfo, {MSP_AGENT_VERSION}, 1);
  out.add(kConfigHash, number(stats_.config_hash));
  out.add(kReloadSuccessful, stats_.reload_failed ? 0 : 1);
  add_stop(StopReason::none, out);
  const auto before = last_stop_ != nullptr ? last_stop_->before() : StopReason::none;
  out.add(kPreviousStopReason, static_cast<double>(before));
  out.add(kTicksSkipped, number(stats_.ticks_skipped));
  out.add(kDuplicates, number(stats_.duplicate_samples));
  add_process(out);
  add_buffer(out);
  if (received_) add_received(out);
  for (const auto& endpoint : stats_.endpoints) {
    if (!is_outlived(endpoint, stats_.endpoints)) add_endpoint(endpoint, out);
  }
}

void SelfMetrics::add_stop(StopReason reason, metrics::SeriesWriter& out) {
  out.add(kStopReason, static_cast<double>(reason));
}

void SelfMetrics::add_process(metrics::SeriesWriter& out) {
  out.add(kCpuSeconds, static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID)) / kNsPerSecond);
  if (const auto bytes = resident_bytes()) out.add(kResidentMemory, *bytes);
}

std::optional<double> SelfMetrics::resident_bytes() {
  // /proc/self/statm, in pages: total resident shared text lib data dirty
  const auto statm = statm_.read();
  if (!statm) return std::nullopt;
  auto words = *statm;
  next_word(words);
  const auto pages = parse_number<std::uint64_t>(next_word(words));
  if (!pages) return std::nullopt;
  static const auto page_size = static_cast<double>(::sysconf(_SC_PAGESIZE));
  return number(*pages) * page_size;
}

void SelfMetrics::add_buffer(metrics::SeriesWriter& out) {
  const auto state = queue_ != nullptr ? queue_->state() : queue::Queue::State{};
  out.add(kBufferBytes, number(state.bytes));
  out.add(kBufferSegments, number(state.segments));
  out.add(kBufferDamage, number(state.damaged_records));
  out.add(kBufferMemoryOnly, state.memory_only ? 1 : 0);
  out.add(kBufferGuard, state.free_space_guard ? 1 : 0);
}

void SelfMetrics::add_received(metrics::SeriesWriter& out) {
  for (const auto& client : received_->clients) {
    out.add(kReceivedRequests, {client.name}, number(client.requests));
    out.add(kReceivedSamples, {client.name}, number(client.samples));
    out.add(kReceivedSkipped, {client.name}, number(client.samples_skipped));
    for (std::size_t i = 0; i < std::size(relay::kRefusals); ++i) {
      out.add(kReceivedRefused, {client.name, relay::kRefusals[i].reason},
              number(client.refused[i]));
    }
  }
}

void SelfMetrics::add_endpoint(const delivery::EndpointStats& endpoint,
                               metrics::SeriesWriter& out) {
  const auto waiting = queue_ != nullptr ? queue_->state(endpoint.number) : queue::ConsumerState{};
  out.add(kSamplesSent, {endpoint.name}, number(endpoint.samples_sent));
  out.add(kSamplesDropped, {endpoint.name, "rejected"}, number(endpoint.samples_rejected));
  out.add(kSamplesDropped, {endpoint.name, "duplicate"}, number(endpoint.samples_duplicate));
  if (endpoint.samples_relabeled > 0) {
    out.add(kSamplesDropped, {endpoint.name, "relabel"}, number(endpoint.samples_relabeled));
  }
  for (std::size_t i = 0; i < queue::kDropReasons; ++i) {
    const auto reason = queue::drop_reason_name(static_cast<queue::DropReason>(i));
    out.add(kSamplesDropped, {endpoint.name, reason}, number(waiting.dropped[i]));
  }
  out.add(kRequests, {endpoint.name}, number(endpoint.requests));
  out.add(kRetries, {endpoint.name}, number(endpoint.retries));
  out.add(kBytesSent, {endpoint.name}, number(endpoint.bytes_sent));
  out.add(kEndpointUp, {endpoint.name},
          endpoint.state == delivery::EndpointState::delivering ? 1 : 0);
  out.add(kLastSuccess, {endpoint.name}, static_cast<double>(endpoint.last_success_ms) / 1000);
  const auto ahead_s = endpoint.clock_ahead_s.load();
  if (ahead_s != delivery::EndpointStats::kUnknown) {
    out.add(kClockAhead, {endpoint.name}, static_cast<double>(ahead_s));
  }
  out.add(kProtocol, {endpoint.name, endpoint.protocol.load()}, 1);
  out.add(kBufferSamples, {endpoint.name}, number(waiting.samples));
  // In seconds: a timestamp from a disk may be too far away for nanoseconds.
  const auto age_seconds = waiting.samples == 0
                               ? 0
                               : static_cast<double>(wall_ns()) / kNsPerSecond -
                                     static_cast<double>(waiting.oldest_timestamp_ms) / 1000;
  out.add(kBufferOldest, {endpoint.name}, age_seconds);
}

}  // namespace msp::run
