#include "agent/import/draft.h"

#include <algorithm>

namespace msp {

const DraftLabel* find_label(const DraftLabels& labels, std::string_view name) {
  const auto found = std::find_if(labels.begin(), labels.end(),
                                  [&](const DraftLabel& label) { return label.name == name; });
  return found == labels.end() ? nullptr : &*found;
}

}  // namespace msp
