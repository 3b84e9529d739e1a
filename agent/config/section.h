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
  struct Target;

  const Node::Entry* find(std::string_view key) const;
  std::optional<Value> scalar(const Node& node, std::string key, std::string_view accepted);
  std::optional<Value> text(const Target& target);
  std::optional<std::vector<Value>> list(const Target& target, std::string_view accepted);
  bool has_at_most(std::size_t max, std::string_view of_what, std::string_view key);
  template <typename Amount, typename Range>
  void take(const Target& target, const Value& value, const std::optional<Amount>& amount,
            const Range& range);

  void read(const Target& target, const key_type::Text& type);
  void read(const Target& target, const key_type::Url& type);
  void read(const Target& target, const key_type::Path& type);
  void read(const Target& target, const key_type::Duration& type);
  void read(const Target& target, const key_type::Size& type);
  void read(const Target& target, const key_type::Number& type);
  void read(const Target& target, const key_type::Rate& type);
  void read(const Target& target, const key_type::Flag& type);
  void read(const Target& target, const key_type::Choice& type);
  void read(const Target& target, const key_type::Regex& type);
  void read(const Target& target, const key_type::Words& type);
  void read(const Target& target, const key_type::Texts& type);
  void read(const Target& target, const key_type::Mapping& type);
  void read(const Target& target, const key_type::Group& type);
  void read(const Target& target, const key_type::Groups& type);

  void report_duplicates();
  void report_unknown(std::span<const ConfigKey> known);

  const Node* node_;
  std::string path_;
  Diagnostics& findings_;
};

}  // namespace msp
