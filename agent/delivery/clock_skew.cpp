#include "agent/delivery/clock_skew.h"

#include <sys/timex.h>

#include <cstdlib>
#include <ctime>
#include <string_view>

#include "agent/base/text.h"

namespace msp::delivery {
namespace {

constexpr std::string_view kCorrectThisHost = "run: timedatectl set-ntp true";

/// "1970-01-01"
std::string date_text(std::int64_t seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  char text[40];
  if (::gmtime_r(&time, &parts) == nullptr) return "an impossible date";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &parts)};
}

}  // namespace

std::optional<bool> is_clock_kept() {
  timex state{};
  if (adjtimex(&state) < 0) return std::nullopt;
  return (state.status & STA_UNSYNC) == 0;
}

std::string skew_text(std::int64_t host_s, std::int64_t server_s, std::optional<bool> is_kept) {
  const auto ahead_s = host_s - server_s;
  if (std::abs(ahead_s) <= kSkewSecondsMax) return {};
  const bool host_is_possible = host_s >= kEarliestSeconds;
  const bool server_is_possible = server_s >= kEarliestSeconds;
  std::string what_to_do = "find out which of the two is wrong, and correct it";
  if (host_is_possible != server_is_possible) {
    what_to_do =
        host_is_possible
            ? cat("the server's says ", date_text(server_s), ": correct it, or its proxy's")
            : cat("this host's says ", date_text(host_s), ": ", kCorrectThisHost);
  } else if (is_kept) {
    what_to_do = *is_kept ? "this host's is synchronized: correct the server's, or its proxy's"
                          : cat("this host's is not synchronized: ", kCorrectThisHost);
  }
  return cat("this host's clock is ", seconds_text(std::abs(ahead_s)),
             ahead_s > 0 ? " ahead of" : " behind", " the server's; ", what_to_do);
}

}  // namespace msp::delivery
