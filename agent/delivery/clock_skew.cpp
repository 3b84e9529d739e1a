#include "agent/delivery/clock_skew.h"

#include <sys/timex.h>

#include <cstdlib>
#include <string_view>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {

std::optional<bool> is_clock_kept() {
  timex state{};
  if (adjtimex(&state) < 0) return std::nullopt;
  return (state.status & STA_UNSYNC) == 0;
}

std::string skew_text(std::int64_t ahead_s, std::optional<bool> is_kept) {
  if (std::abs(ahead_s) <= kSkewSecondsMax) return {};
  std::string_view mend = "see which of the two is right, and mend the other";
  if (is_kept) {
    mend = *is_kept ? "NTP keeps this host's right: mend the server's, or its proxy's"
                    : "nothing keeps this host's right: mend this one: timedatectl set-ntp true";
  }
  return cat("this host's clock is ", duration_text(std::abs(ahead_s) * kNsPerSecond),
             ahead_s > 0 ? " ahead of" : " behind", " the server's; ", mend);
}

}  // namespace msp
