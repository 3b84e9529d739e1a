// A YAML file as a tree of positions and text, before anybody asks what it means. The only file
// that knows yaml-cpp, whose exceptions end here.
//
// Promises: no more than one document, no key twice unseen (both entries stay, in order), no
// nesting deeper than kDepthMax even through aliases, no more than kNodesMax keys and values,
// control characters and bytes that are not UTF-8 refused with their place, time in proportion to
// the text. Does not expand ${..}, know any key, or resolve merge keys (<<).
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace msp::config {

/// Both count from 1, columns in characters; 0: nowhere in particular.
struct Position {
  int line = 0;
  int column = 0;
};

struct Node;
using NodePtr = std::shared_ptr<const Node>;  // an alias shares its anchor's node

/// Immutable once the document is read.
struct Node {
  enum class Kind { empty, scalar, list, mapping };

  struct Entry {
    std::string key;
    Position at;
    NodePtr value;
  };

  Kind kind = Kind::empty;
  Position at;
  std::string text;            // of a scalar, quotes and escapes undone
  std::vector<NodePtr> items;  // of a list
  std::vector<Entry> entries;  // of a mapping, in the file's order
  std::size_t height = 1;      // levels from here down
};

/// Either a root, or what is wrong and where.
struct Document {
  NodePtr root;
  Position at;
  std::string error;

  static constexpr std::size_t kDepthMax = 32;
  // A node costs about 200 bytes: the largest tree fits into the 64 MiB that the unit allows.
  static constexpr std::size_t kNodesMax = 100'000;
};

/// A file with nothing but comments has an empty root. Never throws.
Document parse_document(std::string_view text);

}  // namespace msp::config
