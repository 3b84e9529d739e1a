#include "agent/import/process_exporter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "agent/base/config_key.h"
#include "agent/base/text.h"
#include "agent/import/notes.h"
#include "collectors/registry.h"

namespace msp::import {
namespace {

/// The keys of a group, from the collector: what it takes is known there alone.
std::span<const ConfigKey> keys_of_group() {
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.name != "process_groups") continue;
    for (const auto& key : entry.options().keys()) {
      if (const auto* const groups = std::get_if<key_type::Groups>(&key.type)) {
        return groups->keys({});
      }
    }
  }
  return {};
}

/// Whether msp-agent takes it. A text with a variable that is not known counts as good.
bool is_good(std::string_view key_name, const std::optional<std::string>& text) {
  if (!text) return true;
  for (const auto& key : keys_of_group()) {
    if (key.name != key_name) continue;
    if (const auto* const one = std::get_if<key_type::Text>(&key.type)) return one->is_good(*text);
    if (const auto* const list = std::get_if<key_type::Texts>(&key.type)) {
      return list->is_good(*text);
    }
  }
  return true;
}

/// Nothing, and a note, where it cannot be a group of ours.
std::optional<ImportedProcessGroup> group_of(const Setting& rule, std::string_view name,
                                             ConvertContext& context) {
  MappingReader part(&rule, std::string(name), context);
  if (!part.is_present()) return std::nullopt;
  ImportedProcessGroup group{.at = rule.at, .name = part.text("name").value_or("")};
  const auto left_out = [&](std::string_view key, std::string_view text, std::string_view why) {
    context.notes.left_out(
        part.at(), cat(part.path(key), ": ", quoted(text), ": the whole group is left out: ", why));
  };
  if (!is_good("name", part.known(group.name))) {
    left_out("name", group.name,
             "msp-agent's names have {{.Comm}}, {{.ExeBase}}, {{.ExeFull}} and {{.Matches.NAME}}");
    return std::nullopt;
  }
  group.comm = part.texts("comm");
  group.exe = part.texts("exe");
  for (const auto& text : part.texts("cmdline")) {
    auto expression = part.known(text);  // ours has no variables
    if (!expression || !is_good("cmdline", expression)) {
      left_out("cmdline", text,
               expression ? "no regular expression" : "its variables are not known here");
      return std::nullopt;
    }
    group.cmdline.push_back(std::move(*expression));
  }
  part.finish();
  if (group.comm.empty() && group.exe.empty() && group.cmdline.empty()) {
    context.notes.left_out(part.at(), cat(name, ": has none of comm, exe and cmdline"));
    return std::nullopt;
  }
  return group;
}

}  // namespace

void convert_process_rules(const std::vector<const Setting*>& rules, std::string_view name,
                           ConvertContext& context, ImportedConfig& imported) {
  constexpr std::size_t kGroupsMax = 100;
  for (const auto* const rule : rules) {
    auto group = group_of(*rule, name, context);
    if (!group) continue;
    if (imported.process_groups.size() == kGroupsMax) {
      context.notes.left_out(group->at,
                             cat(name, ": this and what follows: more than ", kGroupsMax));
      return;
    }
    imported.process_groups.push_back(std::move(*group));
  }
}

void convert_process_exporter(const Setting& root, ConvertContext& context,
                              ImportedConfig& imported) {
  MappingReader part(&root, "", context);
  convert_process_rules(part.all(kProcessNames), kProcessNames, context, imported);
  part.finish();
}

void convert_process_component(const Setting& body, std::string_view id, ConvertContext& context,
                               ImportedConfig& imported) {
  MappingReader part(&body, one_line(id), context);
  const auto before = imported.process_groups.size();
  convert_process_rules(part.all("matcher"), cat(part.name(), ".matcher"), context, imported);
  const auto is_set = [&](std::string_view key, std::string_view other_than) {
    const auto text = part.text(key);
    return text && *text != other_than;
  };
  if (is_set("track_children", "true")) {
    part.different("track_children",
                   "a process that no group matches counts in its nearest ancestor's");
  }
  if (is_set("remove_empty_groups", "false")) {
    part.different("remove_empty_groups", "a group without a process stays, with 0 processes");
  }
  if (is_set("recheck_on_scrape", "false")) {
    part.different("recheck_on_scrape", "a process keeps its group");
  }
  if (is_set("procfs_path", "/proc")) {
    part.to_do("procfs_path", "a flag of msp-agent, not a key: --path.procfs");
  }
  constexpr Explanation kKeys[] = {
      {"track_threads", Note::Kind::left_out, "threads by name are not sent"},
      {"gather_smaps", Note::Kind::left_out,
       "only root may read the proportional memory of another user's process"},
  };
  part.finish(kKeys);
  if (imported.process_groups.size() > before) {
    context.notes.different(part.at(), cat(part.name(), kProcessesAreOurs));
  } else {
    context.notes.left_out(part.at(),
                           cat(part.name(), ": no matcher that msp-agent can carry over"));
  }
}

}  // namespace msp::import
