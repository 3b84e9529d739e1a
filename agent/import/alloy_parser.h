// Alloy configuration text -> its blocks and expressions. Follows the language's grammar, a list's
// last comma and line ends included, so that what Alloy refuses is refused here, at the same place.
// Evaluates nothing.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "agent/import/alloy_syntax.h"

namespace msp::import {

struct AlloyDocument {
  AlloyBlock root;  // nameless, the whole file

  // Where error is not empty the text is no configuration, and this is the first thing wrong with
  // it: what was found, and what was expected.
  std::string error;
  int line = 0;
  int column = 0;
  bool is_in_text = false;  // the place is inside of a text, which may be a secret

  /// Blocks, lists, objects, parentheses and signs inside one another.
  static constexpr std::size_t kDepthMax = 64;
};

/// Never throws.
AlloyDocument parse_alloy(std::string_view text);

}  // namespace msp::import
