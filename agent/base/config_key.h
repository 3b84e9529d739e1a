// One key of the configuration: its name, what its value may be, where the value is stored, and what
// the pages say about it. Keys stand in tables, one entry each: agent/config/schema.cpp has those of
// the agent, the file of a collector has its options. agent/config reads the YAML by the tables and
// writes the messages; the manual page, docs/configuration.md and etc/msp-agent.yaml are made from
// them by tests/support/configuration_pages.cpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "agent/base/filter.h"
#include "agent/base/regex.h"

namespace msp {

namespace config {
class Section;  // agent/config/section.h: a mapping of the configuration while it is read
}
struct ConfigKey;

/// What a value may hold. Messages show the value of an `open` key only: in the place of a `hidden`
/// one a secret is easily written. A `secret` is hidden from everything that a person reads.
enum class Privacy { open, hidden, secret };

/// The text of the pages. A release build, whose messages do not use it, leaves it out.
#ifdef MSP_AGENT_HELP
struct Help {
  /// The first line of `text` also stands in etc/msp-agent.yaml, where lines after it do not. Words
  /// in `` are code.
  consteval Help(const char* text = "", const char* example = "", const char* by_default = "")
      : text(text), example(example), by_default(by_default) {}
  std::string_view text;
  std::string_view example;     // as YAML
  std::string_view by_default;  // where the value that is stored does not tell
};
#else
struct Help {
  consteval Help(const char* = "", const char* = "", const char* = "") {}
};
#endif

namespace key_type {

/// Where the value is stored, found from the object that holds the values of the key's mapping.
using Field = void* (*)(void* object, std::string_view name);
/// The keys of a mapping that is itself the value of the key `name`.
using Keys = std::span<const ConfigKey> (*)(std::string_view name);
/// A rule about several keys of a mapping, called when they are read: rule<function> below.
using Rule = void (*)(config::Section& section, void* object, void* parent);
using IsGood = bool (*)(std::string_view text);

/// `accepted` ends the message about a value that is refused.
struct Text {
  using Value = std::string;
  std::string_view accepted;
  IsGood is_good = nullptr;   // null: any text is
  bool may_be_empty = false;  // an empty text counts as not set
};

/// A text as it is written: ${NAME} is not expanded in it, and an empty one counts.
struct Verbatim {
  using Value = std::optional<std::string>;
  std::string_view accepted;
};

struct Address {
  using Value = std::string;
  std::string_view such_as;
  bool may_have_user = false;  // user:password@
};

/// An absolute path. The content of a `secret_file` is a secret.
struct Path {
  using Value = std::string;
  enum class To { file, secret_file, folder };
  To to;
};

struct Duration {
  using Value = std::chrono::milliseconds;
  Value min;
  Value max;
  std::string_view range = {};    // in words, where a rule narrows it
  std::string_view such_as = {};  // where the default is not a duration
};

/// In bytes.
struct Size {
  using Value = std::uint64_t;
  Value min;
  Value max = UINT64_MAX;
};

struct Number {
  using Value = std::uint64_t;
  Value min;
  Value max;
};

/// Samples per second; 0 stands for the word unlimited.
struct Rate {
  using Value = std::uint64_t;
  Value min;
};

struct Flag {
  using Value = bool;
};

/// One of the words, in the order of an enumeration.
struct Choice {
  std::span<const std::string_view> words;
};

/// An expression that excludes names or, in another key with the same field, one that includes them.
struct Regex {
  using Value = Filter;
  PatternUse use;
  std::string_view by_default = {};
  std::string_view instead_of = {};  // the key that this one replaces
};

/// A list of words out of a set.
struct Words {
  using Value = std::vector<std::string>;
  std::string_view noun;       // "collectors"
  std::string_view listed_by;  // the command that shows them; empty: they fit on a line
  std::span<const std::string_view> (*words)();
};

/// A list of texts.
struct Texts {
  std::string_view accepted;
  std::size_t max;
  IsGood is_good;
  bool is_verbatim = false;                                     // ${NAME} is not expanded
  void (*add)(void* field, const std::string& text) = nullptr;  // from key()
};

/// A mapping in which the user makes the names. `read` gets it as its section.
struct Mapping {
  std::string_view noun;  // "labels"
  std::size_t max;
  Rule read;
};

/// A mapping with keys of its own.
struct Group {
  Keys keys;
  Rule check = nullptr;
};

/// One such mapping or a list of them; `check` is called for each.
struct Groups {
  std::string_view noun;  // "endpoints"
  std::size_t max;
  Keys keys;
  Rule check = nullptr;
  void* (*append)(void* field) = nullptr;                 // from key()
  void* (*at)(void* field, std::size_t index) = nullptr;  // null behind the last one; from key()
};

template <const auto& Table>
std::span<const ConfigKey> keys_of(std::string_view) {
  return Table;
}

template <typename Function>
struct RuleOf;
template <typename Object>
struct RuleOf<void (*)(config::Section&, Object&)> {
  template <auto Check>
  static void call(config::Section& section, void* object, void*) {
    Check(section, *static_cast<Object*>(object));
  }
};
template <typename Object, typename Parent>
struct RuleOf<void (*)(config::Section&, Object&, Parent&)> {
  template <auto Check>
  static void call(config::Section& section, void* object, void* parent) {
    Check(section, *static_cast<Object*>(object), *static_cast<Parent*>(parent));
  }
};
/// `Check` takes the section and the object that holds the section's values and, if it wants to, the
/// object around that one.
template <auto Check>
inline constexpr Rule rule = RuleOf<decltype(Check)>::template call<Check>;

}  // namespace key_type

struct ConfigKey {
  using Type = std::variant<key_type::Text, key_type::Verbatim, key_type::Address, key_type::Path,
                            key_type::Duration, key_type::Size, key_type::Number, key_type::Rate,
                            key_type::Flag, key_type::Choice, key_type::Regex, key_type::Words,
                            key_type::Texts, key_type::Mapping, key_type::Group, key_type::Groups>;

  std::string_view name;
  Type type;
  key_type::Field field;
  Privacy privacy = Privacy::open;
  bool is_required = false;
  [[no_unique_address]] Help help = {};
  std::string_view unless = {};  // a key beside this one that makes it not required

  consteval ConfigKey required(std::string_view unless_key = {}) const {
    return with(privacy, true, unless_key);
  }
  consteval ConfigKey hidden() const { return with(Privacy::hidden, is_required, unless); }
  consteval ConfigKey secret() const { return with(Privacy::secret, is_required, unless); }

 private:
  consteval ConfigKey with(Privacy new_privacy, bool new_is_required,
                           std::string_view new_unless) const {
    return {name, type, field, new_privacy, new_is_required, help, new_unless};
  }
};

namespace key_type {

template <typename>
struct MemberPointer;
template <typename O, typename V>
struct MemberPointer<V O::*> {
  using Object = O;
  using Value = V;
};

inline void add_text(std::vector<std::string>& list, const std::string& text) {
  list.push_back(text);
}
/// "a,b"
inline void add_text(std::string& list, const std::string& text) {
  if (!list.empty()) list += ',';
  list += text;
}

}  // namespace key_type

/// The key whose value is stored in `Member` of an `Object`, which `Member` can be inherited by.
template <auto Member, typename Object = typename key_type::MemberPointer<decltype(Member)>::Object,
          typename Type>
consteval ConfigKey key(std::string_view name, Type type, Help help = {}) {
  using Value = typename key_type::MemberPointer<decltype(Member)>::Value;
  auto privacy = Privacy::open;
  if constexpr (std::same_as<Type, key_type::Choice>) {
    static_assert(std::is_same_v<std::underlying_type_t<Value>, int>);
  } else if constexpr (std::same_as<Type, key_type::Texts>) {
    type.add = [](void* field, const std::string& text) {
      key_type::add_text(*static_cast<Value*>(field), text);
    };
  } else if constexpr (std::same_as<Type, key_type::Groups>) {
    type.append = [](void* field) -> void* { return &static_cast<Value*>(field)->emplace_back(); };
    type.at = [](void* field, std::size_t index) -> void* {
      auto& objects = *static_cast<Value*>(field);
      return index < objects.size() ? &objects[index] : nullptr;
    };
  } else if constexpr (!std::same_as<Type, key_type::Group> &&
                       !std::same_as<Type, key_type::Mapping>) {
    static_assert(std::is_same_v<typename Type::Value, Value>, "stored as another type");
    if constexpr (std::same_as<Type, key_type::Path>) privacy = Privacy::hidden;
    if constexpr (std::same_as<Type, key_type::Address>) privacy = Privacy::secret;
  }
  const auto field = [](void* object, std::string_view) -> void* {
    return &(static_cast<Object*>(object)->*Member);
  };
  return {name, type, field, privacy, false, help};
}

/// A mapping whose values are stored in the object around it.
consteval ConfigKey group(std::string_view name, key_type::Group type, Help help = {}) {
  const auto field = [](void* object, std::string_view) { return object; };
  return {name, type, field, Privacy::open, false, help};
}

/// The two keys of a filter: *_exclude, and *_include instead of it.
template <auto Member>
consteval ConfigKey exclude(std::string_view name, std::string_view by_default, Help help = {}) {
  return key<Member>(name, key_type::Regex{PatternUse::exclude, by_default}, help);
}
template <auto Member>
consteval ConfigKey include(std::string_view name, std::string_view instead_of, Help help = {}) {
  return key<Member>(name, key_type::Regex{PatternUse::include, {}, instead_of}, help);
}

}  // namespace msp
