#include "agent/config/mapping.h"

#include <algorithm>

#include "agent/config/quantity.h"
#include "agent/core/text.h"

namespace msp {

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::text:
      return "a single value";
    case Value::Kind::list:
      return "a list";
    case Value::Kind::mapping:
      return "a mapping";
    case Value::Kind::nothing:
      break;
  }
  return "nothing";
}

Mapping::Mapping(const Value* value, std::string path, std::vector<Problem>& problems)
    : path_(std::move(path)), problems_(&problems) {
  if (value == nullptr || value->kind == Value::Kind::nothing) return;
  place_ = value->place;
  if (value->kind == Value::Kind::mapping) {
    value_ = value;
    return;
  }
  const auto name = path_.empty() ? std::string("the file") : path_.substr(0, path_.size() - 1);
  problems.push_back(
      {place_, cat(name, ": expected a mapping (key: value), got ", kind_name(value->kind))});
}

std::string Mapping::path(std::string_view key) const {
  return cat(path_, key);
}

const Value* Mapping::find(std::string_view key) {
  asked_.emplace_back(key);
  if (value_ == nullptr) return nullptr;
  for (const auto& entry : value_->mapping) {
    if (entry.key == key && entry.value.kind != Value::Kind::nothing) return &entry.value;
  }
  return nullptr;
}

const Value* Mapping::find_text(std::string_view key) {
  const auto* value = find(key);
  if (value == nullptr || value->kind == Value::Kind::text) return value;
  wrong_at(value->place, key, cat("expected a single value, got ", kind_name(value->kind)));
  return nullptr;
}

void Mapping::wrong_at(Place place, std::string_view key, std::string_view text) {
  problems_->push_back({place, cat(path_, key, ": ", text)});
}

void Mapping::wrong(std::string_view key, std::string_view text) {
  const auto* value = find(key);
  wrong_at(value == nullptr ? place_ : value->place, key, text);
}

void Mapping::text(std::string_view key, std::string& into) {
  if (const auto* value = find_text(key)) into = value->text;
}

void Mapping::flag(std::string_view key, bool& into) {
  const auto* value = find_text(key);
  if (value == nullptr) return;
  if (value->text == "true" || value->text == "false") {
    into = value->text == "true";
  } else {
    wrong_at(value->place, key, cat("'", value->text, "' is neither true nor false"));
  }
}

void Mapping::duration(std::string_view key, std::chrono::milliseconds min,
                       std::chrono::milliseconds max, std::string_view accepted,
                       std::chrono::milliseconds& into) {
  const auto* value = find_text(key);
  if (value == nullptr) return;
  const auto duration = parse_duration(value->text);
  if (duration && *duration >= min && *duration <= max) {
    into = *duration;
  } else {
    wrong_at(value->place, key, cat("'", value->text, "' is not a duration of ", accepted));
  }
}

void Mapping::size(std::string_view key, std::uint64_t min, std::string_view accepted,
                   std::uint64_t& into) {
  const auto* value = find_text(key);
  if (value == nullptr) return;
  const auto size = parse_size(value->text);
  if (size && *size >= min) {
    into = *size;
  } else {
    wrong_at(value->place, key, cat("'", value->text, "' is not a size of ", accepted));
  }
}

void Mapping::texts(std::string_view key, std::vector<std::string>& into) {
  const auto* value = find(key);
  if (value == nullptr) return;
  if (value->kind != Value::Kind::list) {
    wrong_at(value->place, key, cat("expected a list ([a, b]), got ", kind_name(value->kind)));
    return;
  }
  into.clear();
  for (const auto& item : value->list) {
    if (item.kind == Value::Kind::text) {
      into.push_back(item.text);
    } else {
      wrong_at(item.place, key,
               cat("expected a list of words, got ", kind_name(item.kind), " in it"));
    }
  }
}

void Mapping::choice(std::string_view key, std::initializer_list<std::string_view> choices,
                     std::size_t& into) {
  const auto* value = find_text(key);
  if (value == nullptr) return;
  const auto found = std::find(choices.begin(), choices.end(), value->text);
  if (found != choices.end()) {
    into = static_cast<std::size_t>(found - choices.begin());
    return;
  }
  std::string accepted;
  for (const auto choice : choices) accepted += cat(accepted.empty() ? "" : ", ", choice);
  wrong_at(value->place, key, cat("'", value->text, "' is not one of: ", accepted));
}

std::vector<Value::Entry> Mapping::entries(std::string_view key) {
  auto child = mapping(key);
  if (child.value_ == nullptr) return {};
  std::vector<Value::Entry> entries;
  for (const auto& entry : child.value_->mapping) {
    if (entry.value.kind == Value::Kind::text) {
      entries.push_back(entry);
    } else {
      child.wrong_at(entry.place, entry.key,
                     cat("expected a single value, got ", kind_name(entry.value.kind)));
    }
  }
  return entries;
}

void Mapping::refuse_unknown() {
  if (value_ == nullptr) return;
  for (const auto& entry : value_->mapping) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) != asked_.end()) continue;
    const auto meant = nearest(entry.key, asked_);
    wrong_at(
        entry.place, entry.key,
        meant.empty() ? std::string("no such key") : cat("no such key; did you mean ", meant, "?"));
  }
}

}  // namespace msp
