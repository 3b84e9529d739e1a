#include "agent/config/section.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/environment.h"
#include "agent/config/quantity.h"

namespace msp {
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

std::string one_of(std::span<const std::string_view> words) {
  std::string text;
  for (const auto word : words) text += cat(text.empty() ? "" : ", ", word);
  return text;
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

const Node* Section::node(std::string_view key) {
  known_.push_back(key);
  const auto* const entry = find(key);
  return entry != nullptr && entry->value->kind != Node::Kind::empty ? entry->value.get() : nullptr;
}

bool Section::has(std::string_view key) {
  return node(key) != nullptr;
}

Position Section::at(std::string_view key) const {
  const auto* const entry = find(key);
  if (entry == nullptr) return at();
  return entry->value->kind == Node::Kind::empty ? entry->at : entry->value->at;
}

void Section::reject(std::string_view key, std::string_view what, std::string_view accepted) {
  findings_.reject(at(key), path(key), what, accepted);
}

std::optional<Value> Section::scalar(const Node& node, std::string key, std::string_view accepted) {
  if (node.kind != Node::Kind::scalar) {
    findings_.reject(node.at, key, kind_name(node.kind), accepted);
    return std::nullopt;
  }
  auto expanded = expand_environment(node.text);
  if (!expanded) {
    findings_.add(node.at, cat(key, ": ", expanded.error().text));
    return std::nullopt;
  }
  if (!is_utf8(*expanded)) {
    findings_.reject(node.at, key, "bytes that are not UTF-8", accepted);
    return std::nullopt;
  }
  if (!is_printable(*expanded)) {
    findings_.reject(node.at, key, "a line break or another control character", accepted);
    return std::nullopt;
  }
  const bool from_environment = node.text.find("${") != std::string::npos;
  return Value{std::move(*expanded), node.at, std::move(key), from_environment};
}

std::optional<Value> Section::text(std::string_view key, std::string_view accepted) {
  const auto* const value = node(key);
  if (value == nullptr) return std::nullopt;
  return scalar(*value, path(key), accepted);
}

void Section::read(std::string_view key, const DurationRange& range,
                   std::chrono::milliseconds& out) {
  const auto value = text(key, range.accepted);
  if (!value) return;
  const auto duration = parse_duration(value->text);
  if (duration && *duration >= range.min && *duration <= range.max) {
    out = *duration;
  } else {
    reject(key, shown(value->text), range.accepted);
  }
}

void Section::read(std::string_view key, const SizeRange& range, std::uint64_t& out) {
  const auto value = text(key, range.accepted);
  if (!value) return;
  const auto size = parse_size(value->text);
  if (size && *size >= range.min && *size <= range.max) {
    out = *size;
  } else {
    reject(key, shown(value->text), range.accepted);
  }
}

void Section::read(std::string_view key, bool& out) {
  constexpr std::string_view kWords[] = {"false", "true"};
  if (const auto word = choice(key, kWords)) out = *word == 1;
}

std::optional<std::size_t> Section::choice(std::string_view key,
                                           std::span<const std::string_view> words) {
  const auto value = text(key, one_of(words));
  if (!value) return std::nullopt;
  const auto found = std::find(words.begin(), words.end(), value->text);
  if (found != words.end()) return static_cast<std::size_t>(found - words.begin());
  reject(key, shown(value->text), one_of(words));
  return std::nullopt;
}

void Section::read_path(std::string_view key, std::string& out) {
  constexpr std::string_view kAccepted = "an absolute path, that is one that begins with '/'";
  const auto value = text(key, kAccepted);
  if (!value || value->text.empty()) return;
  if (value->text.front() == '/') {
    out = value->text;
  } else {
    reject(key, "something else (not shown)", kAccepted);
  }
}

bool Section::has_at_most(std::size_t max, std::string_view of_what, std::string_view key) {
  const auto* const value = node(key);
  if (value == nullptr) return true;
  const auto count = std::max(value->items.size(), value->entries.size());
  if (count <= max) return true;
  reject(key, cat(count, " ", of_what), cat("at most ", max));
  return false;
}

Section Section::section(std::string_view key) {
  const auto* const mapping = node(key);
  return Section(mapping, path(key), findings_);
}

std::optional<std::vector<Value>> Section::list(std::string_view key, std::string_view accepted) {
  const auto* const value = node(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Node::Kind::list) {
    reject(key, kind_name(value->kind), accepted);
    return std::nullopt;
  }
  std::vector<Value> values;
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    auto item = scalar(*value->items[i], cat(path(key), "[", i, "]"), accepted);
    if (item) values.push_back(std::move(*item));
  }
  return values;
}

std::vector<Section::Pair> Section::pairs(std::string_view accepted) {
  std::vector<Pair> pairs;
  if (node_ == nullptr) return pairs;
  for (const auto& entry : node_->entries) {
    known_.push_back(entry.key);
    Pair pair{entry.key, entry.at, std::nullopt};
    if (entry.value->kind != Node::Kind::empty) {
      pair.value = scalar(*entry.value, path(printable(entry.key)), accepted);
    }
    pairs.push_back(std::move(pair));
  }
  return pairs;
}

void Section::finish() {
  if (node_ == nullptr) return;
  constexpr std::size_t kWordMax = 64;  // nobody mistypes more than that
  std::vector<std::string_view> keys(known_);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  std::size_t unknown = 0;
  for (const auto& entry : node_->entries) {
    if (std::binary_search(keys.begin(), keys.end(), entry.key)) continue;
    // Behind those that are shown, only the count is.
    const bool is_told = ++unknown <= Diagnostics::kErrorsMax;
    const auto meant = !is_told || entry.key.size() > kWordMax ? "" : nearest(entry.key, known_);
    const auto suggestion = meant.empty() ? std::string() : cat(", did you mean '", meant, "'?");
    findings_.add(entry.at, cat(path(printable(entry.key)), ": unknown key", suggestion,
                                "; accepted: ", one_of(keys)));
  }
}

}  // namespace msp
