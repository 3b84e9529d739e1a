#include "agent/self/self_metrics.h"

#include <unistd.h>

#include "agent/core/clock.h"
#include "agent/core/text.h"

namespace msp {
namespace {

constexpr auto kCounter = MetricType::counter;
constexpr auto kGauge = MetricType::gauge;

constexpr Family kBuildInfo{"msp_agent_build_info",
                            "A constant 1 with the version of the running agent.", kGauge,
                            "version"};
constexpr Family kTicksSkipped{
    "msp_agent_ticks_skipped_total",
    "Ticks at which nothing was collected: the host was suspended or overloaded.", kCounter};
constexpr Family kCpuSeconds{"msp_agent_cpu_seconds_total",
                             "User and system CPU time of the agent in seconds.", kCounter};
constexpr Family kResidentMemory{"msp_agent_resident_memory_bytes",
                                 "Resident memory of the agent in bytes.", kGauge};
constexpr Family kSamplesSent{"msp_agent_samples_sent_total",
                              "Samples that the endpoint has acknowledged.", kCounter, "endpoint"};
constexpr Family kSamplesDropped{
    "msp_agent_samples_dropped_total",
    "Samples that will never reach the endpoint: buffer_full, the oldest gave way; rejected, the "
    "endpoint refused them.",
    kCounter, "endpoint,reason"};
constexpr Family kRequests{"msp_agent_requests_total", "Requests made to the endpoint.", kCounter,
                           "endpoint"};
constexpr Family kRetries{"msp_agent_retries_total",
                          "Requests that failed in a way that is tried again.", kCounter,
                          "endpoint"};
constexpr Family kBytesSent{"msp_agent_sent_bytes_total",
                            "Bytes of request bodies, compressed, whatever the answer was.",
                            kCounter, "endpoint"};
constexpr Family kBufferSamples{"msp_agent_buffer_samples", "Samples that wait for the endpoint.",
                                kGauge, "endpoint"};

double number(std::uint64_t count) {
  return static_cast<double>(count);
}

}  // namespace

void SelfMetrics::add_to(SampleWriter& out) {
  out.add(kBuildInfo, {MSP_AGENT_VERSION}, 1);
  out.add(kTicksSkipped, number(stats_.ticks_skipped));
  out.add(kCpuSeconds, static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID)) / kNsPerSecond);

  // /proc/self/statm, in pages: total resident shared text lib data dirty
  if (const auto statm = statm_.read()) {
    auto words = *statm;
    next_word(words);
    if (const auto pages = parse_number<std::uint64_t>(next_word(words))) {
      static const auto page_size = static_cast<double>(::sysconf(_SC_PAGESIZE));
      out.add(kResidentMemory, number(*pages) * page_size);
    }
  }

  for (std::size_t i = 0; i < stats_.endpoints.size(); ++i) {
    const auto& endpoint = stats_.endpoints[i];
    const auto waiting = buffer_.state(i);
    out.add(kSamplesSent, {endpoint.name}, number(endpoint.samples_sent));
    out.add(kSamplesDropped, {endpoint.name, "buffer_full"}, number(waiting.samples_dropped));
    out.add(kSamplesDropped, {endpoint.name, "rejected"}, number(endpoint.samples_rejected));
    out.add(kRequests, {endpoint.name}, number(endpoint.requests));
    out.add(kRetries, {endpoint.name}, number(endpoint.retries));
    out.add(kBytesSent, {endpoint.name}, number(endpoint.bytes_sent));
    out.add(kBufferSamples, {endpoint.name}, number(waiting.samples));
  }
}

}  // namespace msp
