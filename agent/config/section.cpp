#include "agent/config/section.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/environment.h"
#include "agent/config/quantity.h"
#include "agent/config/schema.h"
#include "agent/config/url.h"

namespace msp::config {
namespace {

std::string_view kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::empty:
      return "nothing";
    case Node::Kind::scalar:
      return "a single value";
    case Node::Kind::list:
      return "a list";
    case Node::Kind::mapping:
      break;
  }
  return "a mapping";
}

constexpr std::string_view kNotShown = "something else (not shown)";
constexpr std::size_t kNamesMax = 100;     // of a list of words
constexpr std::size_t kWordBytesMax = 64;  // nobody mistypes more than that

/// ", did you mean 'interval'?", or nothing.
template <typename Known>
std::string suggestion(std::string_view word, const Known& known) {
  const auto meant = word.size() > kWordBytesMax ? "" : nearest(word, known);
  return meant.empty() ? std::string() : cat(", did you mean '", meant, "'?");
}

}  // namespace

Section::Section(const Node* node, std::string path, Diagnostics& findings)
    : node_(node), path_(std::move(path)), findings_(findings) {
  if (node_ == nullptr || node_->kind == Node::Kind::empty) {
    node_ = nullptr;
    return;
  }
  if (node_->kind != Node::Kind::mapping) {
    const auto name = path_.empty() ? std::string_view("the file") : std::string_view(path_);
    findings_.reject(node_->at, name, kind_name(node_->kind),
                     "a mapping, that is lines 'key: value'");
    node_ = nullptr;
    return;
  }
  report_duplicates();
}

void Section::report_duplicates() {
  std::map<std::string_view, Position> first;
  for (const auto& entry : node_->entries) {
    const auto [seen, is_new] = first.try_emplace(entry.key, entry.at);
    if (is_new) continue;
    findings_.add(entry.at, cat(path(printable(entry.key)), ": set twice, first in line ",
                                seen->second.line, "; accepted: once"));
  }
}

std::string Section::path(std::string_view key) const {
  return path_.empty() ? std::string(key) : cat(path_, ".", key);
}

const Node::Entry* Section::find(std::string_view key) const {
  if (node_ == nullptr) return nullptr;
  for (const auto& entry : node_->entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const Node* Section::node(std::string_view key) const {
  const auto* const entry = find(key);
  return entry != nullptr && entry->value->kind != Node::Kind::empty ? entry->value.get() : nullptr;
}

Position Section::at(std::string_view key) const {
  const auto* const entry = find(key);
  if (entry == nullptr) return at();
  return entry->value->kind == Node::Kind::empty ? entry->at : entry->value->at;
}

void Section::reject(std::string_view key, std::string_view what, std::string_view accepted) {
  findings_.reject(at(key), path(key), what, accepted);
}

std::optional<Value> Section::scalar(const Node& node, std::string key, std::string_view accepted,
                                     bool is_verbatim) {
  if (node.kind != Node::Kind::scalar) {
    findings_.reject(node.at, key, kind_name(node.kind), accepted);
    return std::nullopt;
  }
  auto expanded = is_verbatim ? Result<std::string>(node.text) : expand_environment(node.text);
  if (!expanded) {
    findings_.add(node.at, cat(key, ": ", expanded.error().text));
    return std::nullopt;
  }
  if (!is_utf8(*expanded)) {
    findings_.reject(node.at, key, "bytes that are not UTF-8", accepted);
    return std::nullopt;
  }
  if (!is_verbatim && !is_printable(*expanded)) {
    findings_.reject(node.at, key, "a line break or another control character", accepted);
    return std::nullopt;
  }
  const bool from_environment = !is_verbatim && node.text.find("${") != std::string::npos;
  return Value{std::move(*expanded), node.at, std::move(key), from_environment};
}

bool Section::has_at_most(std::size_t max, std::string_view of_what, std::string_view key) {
  const auto* const value = node(key);
  if (value == nullptr) return true;
  const auto count = std::max(value->items.size(), value->entries.size());
  if (count <= max) return true;
  reject(key, cat(count, " ", of_what), cat("at most ", max));
  return false;
}

std::vector<Section::Pair> Section::pairs(std::string_view accepted) {
  std::vector<Pair> pairs;
  if (node_ == nullptr) return pairs;
  for (const auto& entry : node_->entries) {
    Pair pair{entry.key, entry.at, std::nullopt};
    if (entry.value->kind != Node::Kind::empty) {
      pair.value = scalar(*entry.value, path(printable(entry.key)), accepted);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

/// Reads the value of one key, by its type.
struct Section::Reader {
  Section& section;
  const ConfigKey& key;
  void* field;
  void* object;  // of the section
  std::string accepted;

  std::optional<Value> text(bool is_verbatim = false) const {
    const auto* const value = section.node(key.name);
    if (value == nullptr) return std::nullopt;
    return section.scalar(*value, section.path(key.name), accepted, is_verbatim);
  }

  std::optional<std::vector<Value>> list(std::string_view accepted_list,
                                         bool is_verbatim = false) const {
    const auto* const value = section.node(key.name);
    if (value == nullptr) return std::nullopt;
    if (value->kind != Node::Kind::list) {
      section.reject(key.name, kind_name(value->kind), accepted_list);
      return std::nullopt;
    }
    std::vector<Value> values;
    for (std::size_t i = 0; i < value->items.size(); ++i) {
      auto item = section.scalar(*value->items[i], cat(section.path(key.name), "[", i, "]"),
                                 accepted, is_verbatim);
      if (item) values.push_back(std::move(*item));
    }
    return values;
  }

  void reject(std::string_view what) const { reject(what, accepted); }
  void reject(std::string_view what, std::string_view accepted_instead) const {
    section.reject(key.name, what, accepted_instead);
  }

  template <typename Value>
  Value& stored() const {
    return *static_cast<Value*>(field);
  }

  void operator()(const key_type::Text& type) const {
    const auto value = text();
    if (!value) return;
    if (value->text.empty()) {
      if (!type.may_be_empty) reject("nothing");
    } else if (type.is_good != nullptr && !type.is_good(value->text)) {
      reject(key.privacy == Privacy::open ? shown(value->text) : std::string(kNotShown));
    } else {
      stored<std::string>() = value->text;
      if (key.privacy == Privacy::secret && !value->from_environment) {
        section.findings_.add_inline_secret(value->key);
      }
    }
  }

  void operator()(const key_type::Verbatim&) const {
    if (auto value = text(true)) stored<std::optional<std::string>>() = std::move(value->text);
  }

  void operator()(const key_type::Address& type) const {
    const auto value = text();
    if (!value) return;
    const auto& url = value->text;
    if (url.empty()) {
      if (key.is_required) reject("nothing");
      return;
    }
    // `init` looks whether an address was filled in, right or wrong.
    if (!type.may_have_user) stored<std::string>() = url;
    const bool may_hold_login = url.find('@') != std::string::npos;
    const auto user = type.may_have_user ? UrlUser::accepted : UrlUser::refused;
    if (const auto checked = check_url(url, user); !checked) {
      const bool is_hidden = type.may_have_user || may_hold_login;
      const auto what = is_hidden ? std::string("an address") : shown(url.substr(0, url.find('?')));
      const std::string_view advice = may_hold_login && !type.may_have_user
                                          ? "; a user and password belong under basic_auth"
                                          : "";
      reject(cat(what, " with ", checked.error().text), cat(accepted, advice));
      return;
    }
    stored<std::string>() = url;
    if (may_hold_login && !value->from_environment) section.findings_.add_inline_secret(value->key);
  }

  void operator()(const key_type::Path&) const {
    const auto value = text();
    if (!value || value->text.empty()) return;
    if (value->text.front() == '/') {
      stored<std::string>() = value->text;
    } else {
      reject(kNotShown);
    }
  }

  template <typename Amount, typename Range>
  void take(const Value& value, const std::optional<Amount>& amount, const Range& range) const {
    if (amount && *amount >= range.min && *amount <= range.max) {
      stored<Amount>() = *amount;
    } else {
      reject(shown(value.text));
    }
  }

  void operator()(const key_type::Duration& type) const {
    if (const auto value = text()) take(*value, parse_duration(value->text), type);
  }

  void operator()(const key_type::Size& type) const {
    if (const auto value = text()) take(*value, parse_size(value->text), type);
  }

  void operator()(const key_type::Number& type) const {
    const auto value = text();
    if (value) take(*value, parse_number<std::uint64_t>(value->text), type);
  }

  void operator()(const key_type::Rate& type) const {
    const auto value = text();
    if (!value) return;
    if (value->text == "unlimited") {
      stored<std::uint64_t>() = 0;
    } else {
      const key_type::Number range{type.min, UINT64_MAX};
      take(*value, parse_number<std::uint64_t>(value->text), range);
    }
  }

  void operator()(const key_type::Flag&) const {
    const auto value = text();
    if (!value) return;
    if (value->text == "true" || value->text == "false") {
      stored<bool>() = value->text == "true";
    } else {
      reject(shown(value->text));
    }
  }

  void operator()(const key_type::Choice& type) const {
    const auto value = text();
    if (!value) return;
    const auto found = std::find(type.words.begin(), type.words.end(), value->text);
    if (found == type.words.end()) return reject(shown(value->text));
    const int choice = static_cast<int>(found - type.words.begin());
    std::memcpy(field, &choice, sizeof choice);
  }

  /// The two keys of a filter are read one after the other. An empty expression excludes nothing, and
  /// includes as if it were not set. On an error everything is wanted.
  void operator()(const key_type::Regex& type) const {
    auto& filter = stored<Filter>();
    const auto value = text();
    const bool is_include = type.use == PatternUse::include;
    if (!value) {
      if (!type.by_default.empty()) filter = *make_filter(type.by_default, type.use);
      return;
    }
    if (is_include && value->text.empty()) return;
    auto made = make_filter(value->text, type.use);
    if (!made) {
      reject(cat(shown(value->text), ", no regular expression: ", printable(made.error().text)));
    }
    const auto* const other = is_include ? section.node(type.instead_of) : nullptr;
    if (made && other != nullptr && !other->text.empty()) {
      reject(cat(type.instead_of, " as well"), "one of the two");
    }
    filter = made ? std::move(*made) : Filter();
  }

  void operator()(const key_type::Words& type) const {
    if (!section.has_at_most(kNamesMax, "names", key.name)) return;
    const auto words = type.words();
    const auto values = list(cat("a list of ", type.noun, ": ", accepted));
    if (!values) return;
    for (const auto& value : *values) {
      if (std::find(words.begin(), words.end(), value.text) != words.end()) {
        stored<std::vector<std::string>>().push_back(value.text);
      } else {
        section.findings_.reject(value.at, value.key,
                                 cat(shown(value.text), suggestion(value.text, words)), accepted);
      }
    }
  }

  void operator()(const key_type::Texts& type) const {
    if (!section.has_at_most(type.max, "entries", key.name)) return;
    const auto values = list(accepted, type.is_verbatim);
    if (!values) return;
    for (const auto& value : *values) {
      if (type.is_good(value.text)) {
        type.add(field, value.text);
      } else {
        const bool is_open = key.privacy != Privacy::secret;
        section.findings_.reject(value.at, value.key,
                                 is_open ? shown(value.text) : std::string(kNotShown), accepted);
      }
    }
  }

  void operator()(const key_type::Mapping& type) const {
    const auto& name = key.name;
    if (!section.has_at_most(type.max, type.noun, name)) return;
    Section inner(section.node(name), section.path(name), section.findings_);
    type.read(inner, field, object);
  }

  void operator()(const key_type::Group& type) const {
    const auto& name = key.name;
    Section inner(section.node(name), section.path(name), section.findings_);
    inner.read(type.keys(name), field);
    if (type.check != nullptr) type.check(inner, field, object);
  }

  void operator()(const key_type::Groups& type) const {
    const auto& name = key.name;
    const auto* const value = section.node(name);
    if (value == nullptr) return;
    const auto read_one = [&](const Node& one, std::string one_path) {
      Section inner(&one, std::move(one_path), section.findings_);
      void* const element = type.append(field);
      inner.read(type.keys(name), element);
      if (type.check != nullptr) type.check(inner, element, object);
    };
    if (value->kind == Node::Kind::mapping) return read_one(*value, section.path(name));
    if (value->kind == Node::Kind::scalar) return reject(kind_name(value->kind));
    if (value->items.empty() && key.is_required) reject("nothing");
    if (!section.has_at_most(type.max, type.noun, name)) return;
    for (std::size_t i = 0; i < value->items.size(); ++i) {
      const auto& item = *value->items[i];
      const auto item_path = cat(section.path(name), "[", i, "]");
      if (item.kind == Node::Kind::empty) {
        section.findings_.reject(value->at, item_path, "nothing",
                                 accepted.substr(0, accepted.find(',')));
      } else {
        read_one(item, item_path);
      }
    }
  }
};

void Section::read(std::span<const ConfigKey> keys, void* object) {
  for (const auto& key : keys) {
    void* const field = key.field(object, key.name);
    const Reader reader{*this, key, field, object, accepted_by(key, field)};
    if (key.is_required && present() && !has(key.name) && !has(key.unless)) {
      reject(key.name, "nothing", reader.accepted);
    }
    std::visit(reader, key.type);
  }
  if (present()) report_unknown(keys);
}

void Section::report_unknown(std::span<const ConfigKey> known) {
  std::vector<std::string_view> names;
  for (const auto& key : known) names.push_back(key.name);
  std::sort(names.begin(), names.end());
  std::size_t unknown = 0;
  for (const auto& entry : node_->entries) {
    if (std::binary_search(names.begin(), names.end(), entry.key)) continue;
    // Behind those that are shown, only the count is.
    const bool is_told = ++unknown <= Diagnostics::kErrorsMax;
    findings_.add(entry.at,
                  cat(path(printable(entry.key)), ": unknown key",
                      is_told ? suggestion(entry.key, names) : "", "; accepted: ", one_of(names)));
  }
}

}  // namespace msp::config
