// Every sample that a simulated agent was given. Its value is its number here, so that a sample at a
// centre says which one it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace msp::simulation {

class Ledger {
 public:
  struct Appended {
    std::size_t series;
    std::int64_t timestamp_ms;
    std::int64_t at_ns;        // monotonic clock
    bool may_be_lost = false;  // by a power cut, as the queue documents it
    bool is_relayed = false;
  };

  /// The number of the series with that metric name.
  std::size_t series_of(const std::string& name) {
    return series_.emplace(name, series_.size()).first->second;
  }
  std::size_t series_count() const { return series_.size(); }

  /// Returns the sample's value.
  double add(const Appended& sample) {
    samples_.push_back(sample);
    return static_cast<double>(samples_.size());
  }

  /// The number of the sample; samples().size(): no such sample was appended.
  std::size_t find(const std::string& name, std::int64_t timestamp_ms, double value) const {
    const auto series = series_.find(name);
    if (series == series_.end() || !(value >= 1) || value > static_cast<double>(samples_.size())) {
      return samples_.size();
    }
    const auto number = static_cast<std::size_t>(value) - 1;
    const auto& sample = samples_[number];
    const bool is_it = static_cast<double>(number + 1) == value &&
                       sample.series == series->second && sample.timestamp_ms == timestamp_ms;
    return is_it ? number : samples_.size();
  }

  const std::vector<Appended>& samples() const { return samples_; }

  /// What was appended from `from_ns` on may be lost.
  void excuse_since(std::int64_t from_ns) {
    for (auto sample = samples_.rbegin(); sample != samples_.rend() && sample->at_ns >= from_ns;
         ++sample) {
      sample->may_be_lost = true;
    }
  }
  void excuse_from_number(std::size_t number) {
    for (; number < samples_.size(); ++number) samples_[number].may_be_lost = true;
  }

 private:
  std::map<std::string, std::size_t, std::less<>> series_;
  std::vector<Appended> samples_;
};

}  // namespace msp::simulation
