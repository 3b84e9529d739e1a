#include "collectors/container_tree.h"

#include <algorithm>
#include <utility>

#include "agent/base/clock.h"
#include "collectors/container_path.h"

namespace msp::collectors {
namespace {

constexpr std::int64_t kWholeEveryNs = 55 * kNsPerSecond;  // somewhat less than a minute
constexpr std::size_t kDepthMax =
    12;  // a pod's container in a node that is a container itself has 7
constexpr std::size_t kGroupsMax = 20'000;

bool has_container(const ControlGroup& group) {
  return group.container ||
         std::ranges::any_of(group.groups, [](const auto& inner) { return has_container(*inner); });
}

}  // namespace

bool ContainerTree::look(std::int64_t monotonic_ns) {
  const SysFolder top(root_);
  is_changed_ = false;
  const auto walk_from_top = [&](bool is_whole) {
    groups_ = 0;
    is_cut_off_ = false;
    if (top) {
      walk(top_, top, 0, is_whole);
    } else {
      is_changed_ = is_changed_ || has_container(top_);
      top_ = {};
    }
    if (is_whole) whole_ns_ = monotonic_ns;
  };
  const bool is_due =
      containers_.empty() || whole_ns_ == 0 || monotonic_ns - whole_ns_ >= kWholeEveryNs;
  walk_from_top(is_due);
  if (is_changed_ && !is_due) walk_from_top(true);
  if (!is_changed_) return false;
  containers_.clear();
  find_containers(top_);
  if (containers_.empty()) top_ = {};  // nothing is kept for a host without containers
  return true;
}

void ContainerTree::walk(ControlGroup& group, const SysFolder& folder, std::size_t depth,
                         bool is_whole) {
  const auto now = folder.identity();
  if (is_whole || now.links < 2 || now.links != group.seen.links) list(group, folder);
  group.seen = now;
  for (auto& inner : group.groups) {
    if (++groups_ > kGroupsMax || depth == kDepthMax) {
      is_cut_off_ = true;
      break;
    }
    const bool is_leaf = inner->seen.links == 2 && !inner->container;
    if (is_leaf && !is_whole) continue;
    const auto seen = folder.identity(inner->name.c_str());
    if (inner->seen.inode != 0 && inner->seen.inode != seen.inode) {
      is_changed_ = is_changed_ || has_container(*inner);
      inner = seen.inode == 0 ? nullptr : make(group, inner->name);
    }
    if (!inner) continue;
    if (seen.links == 2) {
      for (const auto& gone : inner->groups) is_changed_ = is_changed_ || has_container(*gone);
      inner->groups.clear();
      inner->seen = seen;
      continue;
    }
    const SysFolder inner_folder(folder, inner->name.c_str());
    if (!inner_folder) continue;
    const auto length = path_.size();
    path_ += '/';
    path_ += inner->name;
    walk(*inner, inner_folder, depth + 1, is_whole);
    path_.resize(length);
  }
  std::erase(group.groups, nullptr);
}

void ContainerTree::list(ControlGroup& group, const SysFolder& folder) {
  folder.list_folders(names_);
  auto known = std::exchange(group.groups, {});
  auto next = known.begin();
  for (const auto& name : names_) {
    while (next != known.end() && (*next)->name < name) ++next;
    if (next != known.end() && (*next)->name == name) {
      group.groups.push_back(std::move(*next++));
    } else {
      group.groups.push_back(make(group, name));
    }
  }
  for (const auto& gone : known) is_changed_ = is_changed_ || (gone && has_container(*gone));
}

std::unique_ptr<ControlGroup> ContainerTree::make(const ControlGroup& parent,
                                                  const std::string& name) {
  auto group = std::make_unique<ControlGroup>();
  group->name = name;
  auto found = container_of(name, parent.name);
  if (!found) return group;
  is_changed_ = true;
  group->container = std::make_unique<Container>();
  auto& container = *group->container;
  container.path = cat(path_, "/", name);
  if (!is_utf8(container.path)) make_utf8(container.path);
  container.engine_id = found->id;
  container.path_name = std::move(found->name);
  container.pod_uid = pod_uid(parent.name);
  return group;
}

void ContainerTree::find_containers(ControlGroup& group) {
  if (group.container) containers_.push_back(&group);
  for (const auto& inner : group.groups) find_containers(*inner);
}

}  // namespace msp::collectors
