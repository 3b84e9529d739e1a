#include "agent/import/notes.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::import {
namespace {

void clean(std::string& text) {
  make_utf8(text);
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  std::replace_if(text.begin(), text.end(), is_control, '?');
}

}  // namespace

std::string Note::place() const {
  if (file.empty()) return "";
  return line == 0 ? cat(file, ": ") : cat(file, ":", line, ": ");
}

std::string Note::to_string() const {
  constexpr std::string_view kWords[] = {"to do", "not carried over", "different"};
  return cat(place(), kWords[static_cast<int>(kind)], ": ", text);
}

void Notes::add(Note::Kind kind, const Place& at, std::string_view text) {
  Note note{kind, one_line(at.file), at.line, std::string(text)};
  clean(note.text);
  if (seen_.emplace(note.kind, note.file, note.line, note.text).second) {
    notes_.push_back(std::move(note));
  }
}

std::vector<Note> Notes::sorted() const {
  auto notes = notes_;
  std::stable_sort(notes.begin(), notes.end(), [](const Note& a, const Note& b) {
    if (a.file.empty() != b.file.empty()) return b.file.empty();
    return std::tie(a.file, a.line) < std::tie(b.file, b.line);
  });
  return notes;
}

std::string one_line(std::string_view text) {
  constexpr std::size_t kBytesMax = 120;
  std::string line(text.substr(0, kBytesMax));
  for (int i = 0; i < 3 && line.size() < text.size() && !is_utf8(line); ++i) line.pop_back();
  if (line.size() < text.size()) line += "...";
  clean(line);
  return line;
}

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += cat(text.empty() ? "" : ", ", one_line(name));
  return text;
}

std::string quoted(std::string_view text) {
  return cat("'", one_line(text), "'");
}

}  // namespace msp::import
