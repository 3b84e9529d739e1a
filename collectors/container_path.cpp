#include "collectors/container_path.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::size_t kIdDigits = 64;

/// What is between `prefix` and `suffix`; empty where there is nothing, or one of them is not there.
std::string_view between(std::string_view text, std::string_view prefix, std::string_view suffix) {
  const auto around = prefix.size() + suffix.size();
  if (text.size() <= around || !text.starts_with(prefix) || !text.ends_with(suffix)) return {};
  return text.substr(prefix.size(), text.size() - around);
}

std::string_view container_id(std::string_view group) {
  if (group.ends_with(".scope")) group.remove_suffix(std::string_view(".scope").size());
  if (group.size() < kIdDigits) return {};
  const auto id = group.substr(group.size() - kIdDigits);
  const auto prefix = group.substr(0, group.size() - kIdDigits);
  if (id.find_first_not_of(kHexDigits) != id.npos) return {};
  // kubepods-besteffort-pod<uid>.slice:cri-containerd:<id> is what a wrong driver makes.
  if (!prefix.empty() && !prefix.ends_with('-') && !prefix.ends_with(':')) return {};
  return prefix.find("conmon") == prefix.npos ? id : std::string_view{};
}

/// A part of a unit's name as it was before systemd escaped it: "a-b" of "a\x2db".
std::string unescaped(std::string_view part) {
  std::string text;
  while (!part.empty()) {
    const auto code = part.starts_with("\\x") && part.size() >= 4
                          ? parse_number<unsigned>(part.substr(2, 2), 16)
                          : std::nullopt;
    text += code ? static_cast<char>(*code) : part.front();
    part.remove_prefix(code ? 4 : 1);
  }
  return text;
}

/// libvirt puts its driver and a number before a machine's name: qemu-3-name.
std::string machine_name(std::string_view escaped) {
  auto name = unescaped(escaped);
  for (const std::string_view driver : {"qemu-", "lxc-"}) {
    if (!name.starts_with(driver)) continue;
    const auto end = name.find('-', driver.size());
    const auto number = std::string_view(name).substr(0, end).substr(driver.size());
    if (end != name.npos && parse_number<unsigned>(number)) return name.substr(end + 1);
  }
  return name;
}

}  // namespace

std::optional<ContainerPath> container_of(std::string_view group, std::string_view parent) {
  if (const auto id = container_id(group); !id.empty()) return ContainerPath{.id = id};
  std::string name;
  if (const auto payload = between(group, "lxc.payload.", ""); !payload.empty()) {
    name = payload;
  } else if (parent == "lxc") {
    name = group;
  } else if (const auto nspawn = between(group, "systemd-nspawn@", ".service"); !nspawn.empty()) {
    name = unescaped(nspawn);
  } else if (parent == "machine.slice") {
    name = machine_name(between(group, "machine-", ".scope"));
  } else if (parent == "qemu.slice") {
    name = between(group, "", ".scope");
  }
  if (name.empty()) return std::nullopt;
  if (!is_utf8(name)) make_utf8(name);
  return ContainerPath{.name = std::move(name)};
}

std::string pod_uid(std::string_view group) {
  constexpr std::size_t kUuidBytes = 36, kHashBytes = 32;  // the latter of a pod from a file
  if (group.ends_with(".slice")) group.remove_suffix(std::string_view(".slice").size());
  const auto at = group.rfind("pod");
  if (at == group.npos || (at > 0 && group[at - 1] != '-')) return {};
  std::string uid(group.substr(at + 3));
  std::replace(uid.begin(), uid.end(), '_', '-');
  if (uid.size() != kUuidBytes && uid.size() != kHashBytes) return {};
  return uid.find_first_not_of("0123456789abcdef-") == uid.npos ? uid : std::string{};
}

}  // namespace msp::collectors
