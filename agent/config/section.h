// A mapping of the configuration while it is read by a table of keys (config_key.h). All that is wrong
// with it is told to the diagnostics; values that are refused are not stored.
//
// A key without a value (`timeout:`) counts as not set. Environment variables are expanded here.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/config_key.h"
#include "agent/config/diagnostics.h"
#include "agent/config/document.h"

namespace msp::config {

/// A scalar with the environment expanded and no control characters in it.
struct Value {
  std::string text;
  Position at;
  std::string key;                // dotted: remote_write[1].timeout
  bool from_environment = false;  // a part of it
};

class Section {
 public:
  /// `node` is null where the mapping is not set. One that is no mapping is reported and counts as
  /// not set. `findings` and the node outlive the section.
  Section(const Node* node, std::string path, Diagnostics& findings);

  /// Reads the keys of the table into the fields of `object`, applies the rules of what is inside, and
  /// reports every other key, with the nearest one of the table.
  void read(std::span<const ConfigKey> keys, void* object);

  bool present() const { return node_ != nullptr; }
  /// Whether the key has a value, right or wrong.
  bool has(std::string_view key) const { return node(key) != nullptr; }
  /// The node of a key's value, null where it is not set.
  const Node* node(std::string_view key) const;
  /// Where the key's value stands; where there is none, the key; else the section.
  Position at(std::string_view key) const;
  Position at() const { return node_ != nullptr ? node_->at : Position{}; }
  /// The key with what leads to it.
  std::string path(std::string_view key) const;

  struct Pair {
    std::string name;
    Position at;
    std::optional<Value> value;  // nothing where it is not set or was refused
  };
  /// Every key of the section, for sections in which the user makes the names (labels).
  std::vector<Pair> pairs(std::string_view accepted);

  void reject(std::string_view key, std::string_view what, std::string_view accepted);
  void reject(Position at, std::string_view path, std::string_view what,
              std::string_view accepted) {
    findings_.reject(at, path, what, accepted);
  }

 private:
  struct Reader;

  const Node::Entry* find(std::string_view key) const;
  /// A verbatim one may have control characters, as a separator or the end of a protocol's line.
  std::optional<Value> scalar(const Node& node, std::string key, std::string_view accepted,
                              bool is_verbatim = false);
  /// False, and told, where a list or mapping has more entries: none of them is read then.
  bool has_at_most(std::size_t max, std::string_view of_what, std::string_view key);
  void report_duplicates();
  void report_unknown(std::span<const ConfigKey> known);

  const Node* node_;
  std::string path_;
  Diagnostics& findings_;
};

}  // namespace msp::config
