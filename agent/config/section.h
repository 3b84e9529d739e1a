// One mapping of the configuration while it is read: typed access to its keys. What was asked for
// is what is known; finish() reports every other key, with the nearest one that is known.
//
// A key without a value (`timeout:`) counts as not set. Each accessor returns nothing where the key
// is not set and where its value was refused, which it has then reported; has() tells the two
// apart. Environment variables are expanded here. Accessors that know a value's form show it in
// messages; those that only hand out text never do, for it may be a secret.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/diagnostics.h"
#include "agent/config/document.h"

namespace msp {

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

  bool present() const { return node_ != nullptr; }
  /// Whether the key has a value, right or wrong.
  bool has(std::string_view key);
  /// Where the key's value stands; where there is none, the key; else the section.
  Position at(std::string_view key) const;
  Position at() const { return node_ != nullptr ? node_->at : Position{}; }
  /// The key with what leads to it.
  std::string path(std::string_view key) const;

  std::optional<Value> text(std::string_view key, std::string_view accepted);

  struct DurationRange {
    std::chrono::milliseconds min;
    std::chrono::milliseconds max;
    std::string_view accepted;
  };
  void read(std::string_view key, const DurationRange& range, std::chrono::milliseconds& out);

  struct SizeRange {
    std::uint64_t min;
    std::uint64_t max;
    std::string_view accepted;
  };
  void read(std::string_view key, const SizeRange& range, std::uint64_t& out);

  void read(std::string_view key, bool& out);

  /// The index in `words` of the key's value.
  std::optional<std::size_t> choice(std::string_view key, std::span<const std::string_view> words);

  /// An absolute path. The text is not shown: a secret is easily written where its file belongs.
  void read_path(std::string_view key, std::string& out);

  /// False, and told, where the list or mapping of the key has more than `max` entries: the caller
  /// reads none of them then. `of_what`: "headers".
  bool has_at_most(std::size_t max, std::string_view of_what, std::string_view key);

  Section section(std::string_view key);
  /// The values of a list; nothing where it is not set or not a list.
  std::optional<std::vector<Value>> list(std::string_view key, std::string_view accepted);

  struct Pair {
    std::string name;
    Position at;
    std::optional<Value> value;  // nothing where it is not set or was refused
  };
  /// Every key of the section, for sections in which the user makes the names (labels).
  std::vector<Pair> pairs(std::string_view accepted);

  /// The node as it is, null where it is not set.
  const Node* node(std::string_view key);

  void reject(std::string_view key, std::string_view what, std::string_view accepted);

  /// Reports the keys that nobody asked for.
  void finish();

 private:
  const Node::Entry* find(std::string_view key) const;
  std::optional<Value> scalar(const Node& node, std::string key, std::string_view accepted);
  void report_duplicates();

  const Node* node_;
  std::string path_;
  Diagnostics& findings_;
  std::vector<std::string_view> known_;  // literals
};

}  // namespace msp
