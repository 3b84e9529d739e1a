#include "agent/import/draft.h"

#include <algorithm>

namespace msp {

void set_label(DraftLabels& labels, DraftLabel label) {
  const auto found = std::find_if(labels.begin(), labels.end(), [&](const DraftLabel& other) {
    return other.name == label.name;
  });
  if (found == labels.end()) {
    labels.push_back(std::move(label));
  } else {
    *found = std::move(label);
  }
}

const DraftLabel* find_label(const DraftLabels& labels, std::string_view name) {
  const auto found = std::find_if(labels.begin(), labels.end(),
                                  [&](const DraftLabel& label) { return label.name == name; });
  return found == labels.end() ? nullptr : &*found;
}

}  // namespace msp
