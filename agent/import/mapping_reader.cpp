#include "agent/import/mapping_reader.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>
#include <variant>

#include "agent/base/text.h"
#include "agent/config/quantity.h"
#include "agent/config/schema.h"

namespace msp::import {
namespace {

using Kind = Setting::Kind;

}  // namespace

std::optional<std::string> text_of(const Setting& setting, std::string& why) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  switch (setting.kind) {
    case Kind::text:
      if (std::any_of(setting.text.begin(), setting.text.end(), is_control)) {
        why = "a line break or another control character in it";
      } else if (!is_utf8(setting.text)) {
        why = "bytes that are not UTF-8 in it";
      } else {
        return setting.text;
      }
      break;
    case Kind::empty:
      why = "null";
      break;
    case Kind::host_name:
      why = "the host's name, for which msp-agent has no variable";
      break;
    case Kind::file:
      why =
          cat("the content of ", one_line(setting.text), ", which msp-agent does not read for it");
      break;
    case Kind::reference:
      why = cat("the value of ", one_line(setting.text), ", which exists only in Alloy");
      break;
    case Kind::list:
      why = "a list, where one value can stand";
      break;
    case Kind::mapping:
      why = "a mapping, where one value can stand";
      break;
    case Kind::unknown:
      why = setting.text;
  }
  return std::nullopt;
}

std::optional<long> foreign_duration_ms(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ms;
  };
  constexpr Unit kUnits[] = {{"ms", 1},     {"us", 1e-3},   {"ns", 1e-6},
                             {"s", 1e3},    {"m", 6e4},     {"h", 3.6e6},
                             {"d", 8.64e7}, {"w", 6.048e8}, {"y", 3.1536e10}};
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
    const auto number = parse_number<double>(text.substr(0, digits));
    if (!number) return std::nullopt;
    text.remove_prefix(digits);
    const auto* const unit =
        std::find_if(std::begin(kUnits), std::end(kUnits),
                     [&](const Unit& candidate) { return text.starts_with(candidate.name); });
    if (unit == std::end(kUnits)) return std::nullopt;
    total += *number * unit->ms;
    text.remove_prefix(unit->name.size());
  }
  constexpr double kMax = 1e15;
  if (!(total < kMax)) return std::nullopt;
  return std::lround(total);
}

std::optional<std::uint64_t> foreign_size(std::string_view text) {
  if (!text.ends_with("B") || text.ends_with("iB")) return config::parse_size(text);
  return config::parse_size(cat(text.substr(0, text.size() - 1), "iB"));
}

MappingReader::MappingReader(const Setting* setting, std::string name, ConvertContext& context)
    : setting_(setting), name_(std::move(name)), context_(context) {
  if (setting_ == nullptr) return;
  at_ = setting_->at;
  if (setting_->is(Kind::mapping)) return;
  if (!setting_->is(Kind::empty)) {
    std::string why = "a single value";
    text_of(*setting_, why);
    context_.notes.left_out(at_, cat(name_, ": ", why, "; it should be a mapping"));
  }
  setting_ = nullptr;
}

std::string MappingReader::path(std::string_view key) const {
  return name_.empty() ? std::string(key) : cat(name_, ".", key);
}

Place MappingReader::at(std::string_view key) const {
  if (setting_ != nullptr) {
    for (const auto& entry : setting_->entries) {
      if (entry.key == key) return entry.at;
    }
  }
  return at_;
}

const Setting* MappingReader::find(std::string_view key) {
  known_.emplace_back(key);
  return value(key);
}

const Setting* MappingReader::value(std::string_view key) const {
  return setting_ != nullptr ? setting_->find(key) : nullptr;
}

std::vector<const Setting*> MappingReader::all(std::string_view key) {
  known_.emplace_back(key);
  std::vector<const Setting*> values;
  if (setting_ == nullptr) return values;
  for (const auto& entry : setting_->entries) {
    if (entry.key != key) continue;
    if (!entry.value.is(Kind::list)) {
      values.push_back(&entry.value);
      continue;
    }
    for (const auto& item : entry.value.items) values.push_back(&item);
  }
  return values;
}

MappingReader MappingReader::part(std::string_view key) {
  return MappingReader(find(key), path(key), context_);
}

std::optional<std::string> MappingReader::text(std::string_view key) {
  const auto* const setting = find(key);
  if (setting == nullptr || setting->is(Kind::empty)) return std::nullopt;
  std::string why;
  auto text = text_of(*setting, why);
  if (!text) left_out(key, why);
  return text;
}

std::optional<std::string> MappingReader::known(const std::optional<std::string>& text) const {
  return text ? context_.env.expand(*text) : std::nullopt;
}

std::vector<std::string> MappingReader::texts(std::string_view key) {
  std::vector<std::string> texts;
  for (const auto* const setting : all(key)) {
    std::string why;
    if (auto text = text_of(*setting, why)) {
      texts.push_back(std::move(*text));
    } else {
      context_.notes.left_out(setting->at, cat(path(key), ": ", why));
    }
  }
  return texts;
}

std::optional<std::string> MappingReader::duration(std::string_view key, std::string_view our_key) {
  const auto value = text(key);
  const auto shown = known(value);
  if (!value || !shown) return value;
  const auto ms = foreign_duration_ms(*shown);
  const bool is_variable = !without_variables(*value);
  if (!ms || (is_variable && !config::parse_duration(*shown))) {
    left_out(key, is_variable ? cat(quoted(*value), " is set to no duration that msp-agent reads, ",
                                    "such as 1m30s")
                              : cat(quoted(*value), " is no duration"));
    return std::nullopt;
  }
  const auto& ours = config::find_key(our_key);
  const auto& range = std::get<key_type::Duration>(ours.type);
  const std::chrono::milliseconds wanted(*ms);
  const auto nearest = std::clamp(wanted, range.min, range.max);
  if (nearest != wanted) {
    different(key, cat(quoted(*value), " is ", config::duration_words(nearest),
                       " in msp-agent, which takes ", config::range_of(ours)));
    return config::duration_words(nearest);
  }
  return is_variable ? *value : config::duration_words(wanted);
}

std::optional<std::string> MappingReader::file_path(std::string_view key) {
  auto value = text(key);
  const auto path = known(value);
  if (!value || value->empty()) return std::nullopt;
  if (!path || path->starts_with('/')) return value;
  to_do(key, "the path of a file is relative; write it as an absolute path, beginning with '/'");
  return std::nullopt;
}

void MappingReader::left_out(std::string_view key, std::string_view why) {
  context_.notes.left_out(at(key), cat(path(key), ": ", why));
}

void MappingReader::different(std::string_view key, std::string_view why) {
  context_.notes.different(at(key), cat(path(key), ": ", why));
}

void MappingReader::to_do(std::string_view key, std::string_view what) {
  context_.notes.to_do(at(key), cat(path(key), ": ", what));
}

void MappingReader::finish(std::span<const Explanation> explanations) {
  if (setting_ == nullptr) return;
  for (const auto& [key, place, value] : setting_->entries) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    const auto found = std::find_if(explanations.begin(), explanations.end(),
                                    [&, key = std::string_view(key)](const Explanation& candidate) {
                                      return candidate.key == key;
                                    });
    const auto named = path(one_line(key));
    if (found == explanations.end()) {
      context_.notes.left_out(place, cat(named, ": msp-agent has nothing like it"));
    } else if (found->kind == Note::Kind::left_out) {
      context_.notes.left_out(place, cat(named, ": ", found->text));
    } else {
      context_.notes.different(place, cat(named, ": ", found->text));
    }
  }
}

}  // namespace msp::import
