// "0", "1", "2" ...: the label values of columns that a table numbers by their place alone.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.h"

namespace msp::collectors {

class NumberLabels {
 public:
  /// Valid until the next call.
  std::string_view of(std::size_t number) {
    while (labels_.size() <= number) labels_.push_back(cat(labels_.size()));
    return labels_[number];
  }

 private:
  std::vector<std::string> labels_;
};

}  // namespace msp::collectors
