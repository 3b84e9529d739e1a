#include "agent/delivery/protocol.h"

#include <utility>

namespace msp::delivery {

const char* wire_name(Wire wire) {
  switch (wire) {
    case Wire::prometheus_1_0:
      return "prometheus-1.0";
    case Wire::victoriametrics:
      return "victoriametrics";
    case Wire::prometheus_2_0:
      return "prometheus-2.0";
  }
  return "";
}

ProtocolChoice::ProtocolChoice(config::Protocol configured)
    : first_choice_(Wire::prometheus_1_0), in_use_(Wire::prometheus_1_0) {
  switch (configured) {
    case config::Protocol::automatic:
      first_choice_ = Wire::victoriametrics;
      second_choice_ = Wire::prometheus_1_0;
      break;
    case config::Protocol::victoriametrics:
      first_choice_ = Wire::victoriametrics;
      break;
    case config::Protocol::prometheus_1_0:
      break;
    case config::Protocol::prometheus_2_0:
      first_choice_ = Wire::prometheus_2_0;
      second_choice_ = Wire::prometheus_1_0;
      break;
  }
  in_use_ = first_choice_;
}

Wire ProtocolChoice::wire(std::int64_t now_ns) const {
  return now_ns < fall_back_until_ns_ ? *second_choice_ : first_choice_;
}

std::optional<Wire> ProtocolChoice::other_than(Wire refused) const {
  return refused == first_choice_ ? second_choice_ : std::nullopt;
}

bool ProtocolChoice::accepted(Wire wire, std::int64_t now_ns) {
  const bool fell_back = wire != first_choice_ && now_ns >= fall_back_until_ns_;
  if (fell_back) fall_back_until_ns_ = now_ns + kFallBackNs;
  return std::exchange(in_use_, wire) != wire;
}

}  // namespace msp::delivery
