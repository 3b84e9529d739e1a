#include "tests/simulation/centre.h"

#include <snappy.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "agent/base/text.h"
#include "agent/delivery/order_test.h"
#include "agent/queue/compression.h"
#include "write_request.pb.h"

namespace msp::simulation {
namespace {

constexpr std::size_t kMessageMax = 64 << 20;

http::HttpAnswer status(int code) {
  http::HttpAnswer answer;
  answer.status = code;
  return answer;
}

bool has_header(const std::vector<std::string>& headers, std::string_view part) {
  return std::any_of(headers.begin(), headers.end(), [&](const std::string& header) {
    return header.find(part) != std::string::npos;
  });
}

}  // namespace

const char* mode_name(Mode mode) {
  constexpr const char* kNames[kModes] = {"works", "unreachable", "silent", "slow", "loses answers",
                                          "500",   "503",         "429",    "401",  "400 to all"};
  return kNames[static_cast<std::size_t>(mode)];
}

bool Centre::may_refuse(std::size_t number) const {
  return nature_.in_order || nature_.poisoned.contains(ledger_.samples()[number].series);
}

http::HttpAnswer Centre::take(std::string_view body, const std::vector<std::string>& headers) {
  switch (mode) {
    case Mode::fails:
      return status(500);
    case Mode::overloaded:
      return status(503);
    case Mode::limits_rate: {
      auto answer = status(429);
      answer.retry_after = std::chrono::seconds(30);
      return answer;
    }
    case Mode::refuses_login:
      return status(401);
    case Mode::refuses_all:
      return status(400);
    case Mode::works:
    case Mode::unreachable:
    case Mode::silent:
    case Mode::slow:
    case Mode::loses_answers:
      break;
  }
  if (has_header(headers, "write.v2.Request")) return status(415);
  std::string message;
  if (has_header(headers, "Content-Encoding: zstd")) {
    if (!nature_.takes_zstd) return status(415);
    auto content = queue::decompress_frames(body, kMessageMax);
    if (!content) {
      invented_ = "a body that is no zstd";
      return status(400);
    }
    message = std::move(*content);
  } else if (!snappy::Uncompress(body.data(), body.size(), &message)) {
    invented_ = "a body that is no snappy";
    return status(400);
  }
  prometheus::WriteRequest request;
  if (!request.ParseFromString(message)) {
    invented_ = "a message that is no WriteRequest";
    return status(400);
  }
  std::vector<Received> samples;
  bool is_poisoned = false;
  std::string probe;  // which run's; empty: none
  std::int64_t probe_ms = 0;
  for (const auto& series : request.timeseries()) {
    const bool is_whole = series.labels_size() == 2 && series.labels(0).name() == "__name__" &&
                          series.labels(1).name() == "customer_id" &&
                          series.labels(1).value() == "alpha";
    const auto name = series.labels_size() > 0 ? series.labels(0).value() : std::string();
    if (name == delivery::kProbe.name) {
      for (const auto& label : series.labels()) {
        if (label.name() == "run") probe = label.value();
      }
      probe_ms = series.samples(0).timestamp();
      continue;
    }
    for (const auto& sample : series.samples()) {
      const auto number = ledger_.find(name, sample.timestamp(), sample.value());
      if (!is_whole || number == ledger_.samples().size()) {
        invented_ =
            cat(name, " at ", sample.timestamp(), " with value ", std::to_string(sample.value()));
        continue;
      }
      samples.push_back({number, ledger_.samples()[number].series});
      is_poisoned = is_poisoned || nature_.poisoned.contains(samples.back().series);
    }
  }
  if (nature_.samples_max > 0 && samples.size() > nature_.samples_max) return status(413);
  if (is_poisoned) return status(400);
  return status(store(samples, probe, probe_ms));
}

/// Returns the status.
int Centre::store(const std::vector<Received>& samples, const std::string& probe,
                  std::int64_t probe_ms) {
  const auto count = ledger_.series_count();
  newest_ms_.resize(count, std::numeric_limits<std::int64_t>::min());
  newest_number_.resize(count, 0);
  stored_.resize(ledger_.samples().size());
  const auto is_too_old = [&](const Received& sample) {
    return ledger_.samples()[sample.number].timestamp_ms < newest_ms_[sample.series];
  };
  bool is_out_of_order = false;
  if (nature_.in_order) {
    const auto newest = newest_probes_ms_.find(probe);
    if (newest != newest_probes_ms_.end() && probe_ms < newest->second) return 409;
    auto newest_ms = newest_ms_;  // the samples of one request have an order, too
    for (const auto& sample : samples) {
      const auto timestamp_ms = ledger_.samples()[sample.number].timestamp_ms;
      is_out_of_order = is_out_of_order || timestamp_ms < newest_ms[sample.series];
      newest_ms[sample.series] = std::max(newest_ms[sample.series], timestamp_ms);
    }
  }
  for (const auto& sample : samples) {
    if (!has(sample.number) && newest_number_[sample.series] > sample.number + 1) ++late_count_;
  }
  if (is_out_of_order && !nature_.stores_a_part) return 409;
  if (!probe.empty()) {
    auto& newest = newest_probes_ms_[probe];
    newest = std::max(newest, probe_ms);
  }
  for (const auto& sample : samples) {
    if (nature_.in_order && is_too_old(sample)) continue;
    if (stored_[sample.number]) ++again_count_;
    stored_[sample.number] = true;
    auto& newest = newest_ms_[sample.series];
    newest = std::max(newest, ledger_.samples()[sample.number].timestamp_ms);
    auto& newest_number = newest_number_[sample.series];
    newest_number = std::max(newest_number, sample.number + 1);
  }
  return is_out_of_order ? 409 : 204;
}

}  // namespace msp::simulation
