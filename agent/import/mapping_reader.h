// One mapping of a foreign configuration while it is carried over. What is asked for is what is
// carried over; finish() names every other key, so that nothing is dropped in silence.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/validators.h"
#include "agent/import/env_file.h"
#include "agent/import/notes.h"
#include "agent/import/setting.h"

namespace msp::import {

/// A file that the configuration names, and what it holds.
struct NamedFile {
  std::string_view name;
  Setting root;
};

/// What every mapping works with.
struct ConvertContext {
  Notes& notes;
  const EnvFile& env;
  const std::vector<NamedFile>& named_files;  // those that were given
};

/// What to say of a key for which msp-agent has nothing, where there is more to say than that.
struct Explanation {
  std::string_view key;
  Note::Kind kind;
  std::string_view text;
};

class MappingReader {
 public:
  /// `setting` is null where there is none; one that is no mapping is noted. `name` leads messages.
  MappingReader(const Setting* setting, std::string name, ConvertContext& context);

  /// Where the key stands, or the mapping itself.
  Place at(std::string_view key) const;
  Place at() const { return at_; }
  const std::string& name() const { return name_; }
  bool is_present() const { return setting_ != nullptr; }
  /// The key with what leads to it.
  std::string path(std::string_view key) const;

  /// The value as it is, null where there is none.
  const Setting* find(std::string_view key);
  /// The same without asking for it: finish() still names the key.
  const Setting* value(std::string_view key) const;
  /// Every value of the key; a list counts as its items.
  std::vector<const Setting*> all(std::string_view key);
  MappingReader part(std::string_view key);

  /// One line of text as our configuration writes it. Anything else is noted as left out.
  std::optional<std::string> text(std::string_view key);
  /// The text's value, where its variables are known.
  std::optional<std::string> known(const std::optional<std::string>& text) const;
  /// A list of texts; items that are none are noted.
  std::vector<std::string> texts(std::string_view key);
  /// A duration in our words, in the range of our key; another one is noted and taken to the nearest
  /// end.
  std::optional<std::string> duration(std::string_view key, std::string_view our_key);
  /// An absolute path.
  std::optional<std::string> file_path(std::string_view key);

  void left_out(std::string_view key, std::string_view why);
  void different(std::string_view key, std::string_view why);
  void to_do(std::string_view key, std::string_view what);

  /// Names what nobody asked for.
  void finish(std::span<const Explanation> explanations = {});

 private:
  const Setting* setting_;
  Place at_;
  std::string name_;
  ConvertContext& context_;
  std::vector<std::string> known_;
};

/// One line of text as our configuration writes it, or nothing and why.
std::optional<std::string> text_of(const Setting& setting, std::string& why);

/// A Go or Prometheus duration (1m30s, 1.5s, 1w) in milliseconds.
std::optional<long> foreign_duration_ms(std::string_view text);

/// A size of Prometheus (16MB, 16MiB): MB, too, has units of 1024.
std::optional<std::uint64_t> foreign_size(std::string_view text);

}  // namespace msp::import
