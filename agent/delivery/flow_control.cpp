#include "agent/delivery/flow_control.h"

#include <algorithm>

namespace msp::delivery {

void FlowControl::after_outage(std::int64_t outage_ns, double random, std::int64_t now_ns) {
  const auto longest = static_cast<double>(std::clamp<std::int64_t>(outage_ns, 0, kWaitMaxNs));
  ready_ns_ = std::max(ready_ns_, now_ns + static_cast<std::int64_t>(random * longest));
  spread_until_ns_ = now_ns + kSpreadNs;
}

void FlowControl::answered(std::size_t samples, std::int64_t began_ns, std::int64_t ended_ns) {
  const auto took_ns = ended_ns - began_ns;
  rest_factor_ = std::max(rest_factor_ / 2, 1);
  fit_size(took_ns);
  const bool rests = samples_per_second_ != 0 || rest_factor_ > 1 || took_ns > kSlowNs;
  const auto rest_ns = rests ? std::min(took_ns * rest_factor_, kWaitMaxNs) : 0;
  ready_ns_ = std::max(ready_ns_, ended_ns + rest_ns);
  if (samples_per_second_ == 0) return;
  const auto seconds = static_cast<double>(samples) / static_cast<double>(samples_per_second_);
  ready_ns_ = std::max(ready_ns_, began_ns + static_cast<std::int64_t>(seconds * 1e9));
}

void FlowControl::batch_ended(std::size_t samples, std::size_t waiting, std::int64_t now_ns) {
  if (samples_per_second_ == 0 || now_ns >= spread_until_ns_) return;
  const auto share = static_cast<double>(samples) / static_cast<double>(std::max(waiting, samples));
  const auto apart_ns =
      static_cast<std::int64_t>(static_cast<double>(spread_until_ns_ - now_ns) * share);
  const auto five_to_four_ns = std::min(live_apart_ns_ * 5 / 4, kWaitMaxNs);
  ready_ns_ = std::max(ready_ns_, now_ns + std::min(apart_ns, five_to_four_ns));
}

void FlowControl::overloaded(std::int64_t began_ns, std::int64_t ended_ns) {
  rest_factor_ = std::min(rest_factor_ * 2, kRestFactorMax);
  if (ended_ns - began_ns > kSlowNs) fit_size(ended_ns - began_ns);
}

void FlowControl::fit_size(std::int64_t took_ns) {
  if (took_ns > kSlowNs) samples_max_ = std::max(samples_max_ / 2, kSamplesMin);
  if (took_ns < kFastNs) samples_max_ = std::min(samples_max_ * 2, kSamplesMax);
}

}  // namespace msp::delivery
