// A simulated centre: it keeps what it stored, and answers as it is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/http/answer.h"
#include "tests/simulation/ledger.h"

namespace msp::simulation {

enum class Mode {
  works,
  unreachable,    // the connection is refused
  silent,         // no answer, and nothing is stored
  slow,           // an answer after seconds; some come after the agent has given up
  loses_answers,  // stored, but the connection breaks
  fails,          // 500
  overloaded,     // 503
  limits_rate,    // 429 with Retry-After
  refuses_login,  // 401
  refuses_all,    // 400
};
inline constexpr std::size_t kModes = 10;
const char* mode_name(Mode mode);

class Centre {
 public:
  struct Nature {
    bool takes_zstd = true;
    bool in_order = false;           // 409 to a sample that is not newer than the series' newest
    bool stores_a_part = false;      // and then the others are stored
    std::size_t samples_max = 0;     // of a request, otherwise 413; 0: any
    std::set<std::size_t> poisoned;  // 400 to a request with one of these series
  };

  Centre(const Ledger& ledger, Nature nature) : ledger_(ledger), nature_(std::move(nature)) {}

  Mode mode = Mode::works;

  /// The request has arrived. What the centre answers, if the answer arrives.
  http::HttpAnswer take(std::string_view body, const std::vector<std::string>& headers);

  const Nature& nature() const { return nature_; }
  bool has(std::size_t number) const { return number < stored_.size() && stored_[number]; }
  bool may_refuse(std::size_t number) const;
  /// Samples that came, for the first time, after one of their series that was appended later.
  std::size_t late_count() const { return late_count_; }
  /// Samples that were stored already when they came.
  std::size_t again_count() const { return again_count_; }
  /// A sample that was never appended, or not with that value; empty: none came.
  const std::string& invented() const { return invented_; }

 private:
  struct Received {
    std::size_t number;
    std::size_t series;
  };
  int store(const std::vector<Received>& samples, const std::string& probe, std::int64_t probe_ms);

  const Ledger& ledger_;
  const Nature nature_;
  std::vector<bool> stored_;                              // by number
  std::vector<std::int64_t> newest_ms_;                   // by series
  std::vector<std::size_t> newest_number_;                // by series, plus 1
  std::map<std::string, std::int64_t> newest_probes_ms_;  // of each run
  std::size_t late_count_ = 0;
  std::size_t again_count_ = 0;
  std::string invented_;
};

}  // namespace msp::simulation
