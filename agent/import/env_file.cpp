#include "agent/import/env_file.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::import {
namespace {

/// The value as systemd has it: text in quotes and without, joined. False where a quote is open.
bool unquote(std::string_view raw, std::string& out) {
  char quote = '\0';
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (quote != '\0' && c == quote) {
      quote = '\0';
    } else if (c == '\\' && quote != '\'' && i + 1 < raw.size()) {
      out += raw[++i];
    } else {
      out += c;
    }
  }
  return quote == '\0';
}

/// vmagent's endpoint is on its command line, which often stands in such a file.
void name_flags(std::string_view value, const Place& at, Notes& notes) {
  std::string names;
  while (true) {
    const auto word = next_word(value);
    if (word.empty()) break;
    const auto flag = word.substr(0, word.find('='));
    const auto name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    const bool is_of_vmagent = name.starts_with("remoteWrite.");
    if (flag.starts_with('-') && is_of_vmagent) names += cat(names.empty() ? "" : ", -", name);
  }
  if (names.empty()) return;
  notes.left_out(
      at, cat("vmagent's flags -", names, ": write the addresses and logins as ",
              "remote_write of the file that is converted, and the labels of ",
              "-remoteWrite.label, which overwrite all others, under labels of the ", "result"));
}

}  // namespace

EnvFile::EnvFile(std::string_view path, std::string_view text, Notes& notes,
                 std::string_view absolute_path)
    : path_(path), absolute_path_(absolute_path) {
  int number = 0;
  while (auto next = next_line(text)) {
    const Place at{path_, ++number};
    std::string line(trim(*next));
    if (line.ends_with('\r')) line.pop_back();
    while (line.ends_with('\\')) {
      line.pop_back();
      const auto more = next_line(text);
      if (!more) break;
      ++number;
      line += trim(*more);
    }
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    const std::string_view rest = line;
    if (rest.starts_with("export ") || rest.starts_with("export\t")) {
      notes.left_out(at,
                     "systemd passes over a line that begins with 'export', and so sets "
                     "nothing; write NAME=value");
      continue;
    }
    const auto equals = rest.find('=');
    const auto name = trim(rest.substr(0, equals));
    std::string value;
    if (equals == rest.npos || variable(name).empty() ||
        !unquote(trim(rest.substr(equals + 1)), value)) {
      notes.left_out(at, "not a line NAME=value");
      continue;
    }
    const auto is_control = [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    if (!is_utf8(value) || std::any_of(value.begin(), value.end(), is_control)) {
      notes.left_out(at, cat(name, ": a value that is no text"));
      continue;
    }
    name_flags(value, at, notes);
    values_.insert_or_assign(std::string(name), std::move(value));
  }
}

std::optional<std::string> EnvFile::expand(std::string_view text) const {
  std::string out;
  while (!text.empty()) {
    const auto dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == text.npos) break;
    const bool is_variable = text.substr(dollar, 2) == "${";
    if (!is_variable) {
      out += '$';
      text.remove_prefix(dollar + 2);  // "$$"
      continue;
    }
    const auto end = text.find('}', dollar);
    const auto inside = text.substr(dollar + 2, end - dollar - 2);
    text.remove_prefix(end + 1);
    const auto separator = inside.find(":-");
    const auto found = values_.find(inside.substr(0, separator));
    if (found != values_.end() && (separator == inside.npos || !found->second.empty())) {
      out += found->second;
    } else if (separator != inside.npos) {
      out += inside.substr(separator + 2);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace msp::import
