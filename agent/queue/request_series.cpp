#include "agent/queue/request_series.h"

#include "agent/queue/wire_reader.h"

namespace msp::queue {
namespace {

// prometheus.WriteRequest and what is in it.
constexpr std::uint32_t kTimeSeries = 1;
constexpr std::uint32_t kLabels = 1, kSamples = 2, kHistograms = 4;

}  // namespace

void append_series(std::string_view content, std::vector<RequestSeries>& series) {
  WireReader reader(content);
  for (auto at = content; reader.next(); at = reader.rest()) {
    if (!reader.is(kTimeSeries, WireReader::Type::bytes)) continue;
    RequestSeries one{at.substr(0, at.size() - reader.rest().size()), {}, 0};
    const auto inner = reader.bytes();
    WireReader fields(inner);
    while (fields.next()) {
      if (fields.field() == kLabels) {
        one.labels = inner.substr(0, inner.size() - fields.rest().size());
      } else if (fields.field() == kSamples || fields.field() == kHistograms) {
        ++one.samples;
      }
    }
    series.push_back(one);
  }
}

}  // namespace msp::queue
