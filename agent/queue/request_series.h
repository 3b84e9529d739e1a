// The series of what a relay received, one by one: it is taken apart only where an endpoint refuses it,
// to find out which of them it means.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace msp::queue {

/// One of a message's series. Views into its content.
struct RequestSeries {
  std::string_view field;     // all of it, with its tag: fields one after the other are a message
  std::string_view labels;    // one label after the other, as fields
  std::uint64_t samples = 0;  // with histograms
};

/// Adds the series of a content in their order, as far as it is well formed.
void append_series(std::string_view content, std::vector<RequestSeries>& series);

}  // namespace msp::queue
