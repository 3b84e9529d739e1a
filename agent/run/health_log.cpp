#include "agent/run/health_log.h"

#include <utility>

#include "agent/base/text.h"

namespace msp::run {

std::optional<HealthLog::Line> HealthLog::line(std::string_view collector, const Error* error,
                                               std::int64_t now_ns) {
  auto found = collectors_.find(collector);
  if (found == collectors_.end()) found = collectors_.emplace(collector, Collector{}).first;
  auto& [throttle, is_told] = found->second;
  if (error == nullptr) {
    if (!std::exchange(is_told, false)) return std::nullopt;
    return Line{LogLevel::info, cat(collector, ": works again")};
  }
  if (error->kind == Error::Kind::no_data) {
    return Line{LogLevel::debug, cat(collector, ": no data: ", error->text)};
  }
  if (!throttle.pass(now_ns)) return std::nullopt;
  is_told = true;
  return Line{LogLevel::warning, cat(collector, ": ", error->text)};
}

}  // namespace msp::run
