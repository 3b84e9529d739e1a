#include "agent/import/imported_config.h"

#include <algorithm>

namespace msp::import {

const ImportedLabel* find_label(const ImportedLabels& labels, std::string_view name) {
  const auto found = std::find_if(labels.begin(), labels.end(),
                                  [&](const ImportedLabel& label) { return label.name == name; });
  return found == labels.end() ? nullptr : &*found;
}

}  // namespace msp::import
