// A YAML file as a tree of plain values that know where they stand. The only file that includes
// yaml-cpp is document.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/config.h"

namespace msp {

/// Where a value stands; lines and columns count from 1, 0 is the file as a whole.
struct Place {
  int line = 0;
  int column = 0;
};

struct Value {
  enum class Kind { nothing, text, list, mapping };
  struct Entry;

  Kind kind = Kind::nothing;
  Place place;
  std::string text;  // after ${NAME} was expanded
  std::vector<Value> list;
  std::vector<Entry> mapping;  // in the file's order, no key twice
};

struct Value::Entry {
  std::string key;
  Place place;
  Value value;
};

/// What is wrong, and where.
struct Problem {
  Place place;
  std::string text;
};

/// Parses `yaml` into `root`: one document, valid UTF-8, no key twice. `root` is usable only when
/// there are no problems. ${NAME} and ${NAME:-default} in values, not in keys, are taken from the
/// environment after parsing, so that what they hold cannot change the structure; $$ is a dollar
/// sign. Never throws.
std::vector<Problem> parse_document(const std::string& yaml, Value& root);

}  // namespace msp
