// What an Alloy configuration says, before anybody asks what it means: blocks, attributes and
// expressions with their places. Plain data.
#pragma once

#include <string>
#include <vector>

namespace msp::import {

struct AlloyExpression {
  enum class Kind {
    text,       // text: decoded
    word,       // text: a number, true, false or null
    list,       // items
    object,     // names and items
    reference,  // text: prometheus.remote_write.central.receiver
    call,       // text: the function as a reference, items: its arguments
    operation,  // text: the operators in their order, items: the operands
    other,      // an index, a member of a call's result; items: what is in it
  };

  Kind kind = Kind::word;
  int line = 0;
  int column = 0;
  std::string text;
  std::vector<AlloyExpression> items;
  std::vector<std::string> names;  // of an object's items
};

struct AlloyBlock;

/// `name = value`
struct AlloyAttribute {
  std::string name;
  int line = 0;
  AlloyExpression value;
};

/// `name.kind "label" { .. }`
struct AlloyBlock {
  std::string name;   // dotted
  std::string label;  // empty: none
  int line = 0;
  std::vector<AlloyAttribute> attributes;
  std::vector<AlloyBlock> blocks;
};

}  // namespace msp::import
