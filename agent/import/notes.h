// What a conversion has to tell beside its result: what it left out, what is different, what is
// still to be done. Each with its place, in one line, and never with a secret.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "agent/import/setting.h"

namespace msp::import {

struct Note {
  enum class Kind {
    to_do,      // the result cannot run before this is done
    left_out,   // not carried over: something is lost
    different,  // carried over in another way, or not needed
  };

  Kind kind = Kind::left_out;
  std::string file;  // empty: of the whole
  int line = 0;
  std::string text;

  std::string place() const;  // "file:line: ", or nothing

  std::string to_string() const;  // "file:line: not carried over: .."
};

class Notes {
 public:
  void to_do(const Place& at, std::string_view text) { add(Note::Kind::to_do, at, text); }
  void left_out(const Place& at, std::string_view text) { add(Note::Kind::left_out, at, text); }
  void different(const Place& at, std::string_view text) { add(Note::Kind::different, at, text); }

  /// In the order of the files and their lines, those of the whole at the end; each once.
  std::vector<Note> sorted() const;

 private:
  void add(Note::Kind kind, const Place& at, std::string_view text);

  std::vector<Note> notes_;
  std::set<std::tuple<Note::Kind, std::string, int, std::string>> seen_;
};

/// `text` in one line of valid UTF-8, cut where it is long.
std::string one_line(std::string_view text);

/// "a, b": each in one line.
std::string listed(const std::vector<std::string>& names);

/// One line in single quotes.
std::string quoted(std::string_view text);

}  // namespace msp::import
