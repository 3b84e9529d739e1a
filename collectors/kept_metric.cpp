#include "collectors/kept_metric.h"

#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace msp::collectors {

const MetricDesc* kept_metric(std::string_view name, std::string_view help, std::string_view source,
                              MetricType type, std::string_view label_names) {
  struct Kept {
    std::string help;
    std::string source;
    MetricDesc desc{};
  };
  constexpr std::size_t kMetricsMax = 2048;
  static auto& metrics = *new std::map<std::string, Kept, std::less<>>;
  static std::mutex
      mutex;  // those of the sources that are asked on demand have a thread of their own
  const std::lock_guard lock(mutex);
  const auto found = metrics.find(name);
  if (found != metrics.end()) return &found->second.desc;
  if (metrics.size() == kMetricsMax) return nullptr;
  const auto made = metrics.emplace(name, Kept{std::string(help), std::string(source)}).first;
  auto& kept = made->second;
  kept.desc = {made->first, kept.help, kept.source, type, label_names};
  return &kept.desc;
}

}  // namespace msp::collectors
