// Reads one YAML mapping key by key: checks each value's kind and range, keeps the list of what is
// wrong, and finds the keys that nobody asked for.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/document.h"

namespace msp {

/// Every error names the key with its whole path: "remote_write[1].timeout". All references outlive
/// the mapping.
class Mapping {
 public:
  /// `path` is what stands before a key of this mapping: "" or "buffer.". A `value` that is no
  /// mapping is an error, and then the mapping is empty; so it is where there is no value.
  Mapping(const Value* value, std::string path, std::vector<Problem>& problems);

  /// The value of `key`, or null: not there, or null in the file.
  const Value* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }
  std::string path(std::string_view key) const;

  Mapping mapping(std::string_view key) { return {find(key), path(key) + ".", *problems_}; }

  // Each leaves `into` as it is where there is no such key, or its value is wrong.
  void text(std::string_view key, std::string& into);
  void flag(std::string_view key, bool& into);
  void duration(std::string_view key, std::chrono::milliseconds min, std::chrono::milliseconds max,
                std::string_view accepted, std::chrono::milliseconds& into);
  void size(std::string_view key, std::uint64_t min, std::string_view accepted,
            std::uint64_t& into);
  void texts(std::string_view key, std::vector<std::string>& into);

  /// Which of `choices` the value is; `into` is its index.
  void choice(std::string_view key, std::initializer_list<std::string_view> choices,
              std::size_t& into);

  /// All pairs of a mapping of words.
  std::vector<Value::Entry> entries(std::string_view key);

  /// An error at the value of `key`, or at this mapping where there is none: "<path>: <text>".
  void wrong(std::string_view key, std::string_view text);
  void wrong_at(Place place, std::string_view key, std::string_view text);

  /// Reports every key that was not asked for. To be called last.
  void refuse_unknown();

 private:
  const Value* find_text(std::string_view key);

  const Value* value_ = nullptr;
  Place place_;
  std::string path_;
  std::vector<Problem>* problems_;
  std::vector<std::string> asked_;
};

/// "a list", "a mapping", ...: for errors.
std::string_view kind_name(Value::Kind kind);

}  // namespace msp
