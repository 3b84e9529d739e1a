// What systemd says of its units, asked over the system bus: one list of all, and three properties
// of each unit that is wanted.
//
// Promised: what is returned came from systemd as a whole; a text in it is UTF-8 and of bounded
// length, and no path leads out of the folder it is below. A property that systemd does not know, or
// of a unit that is gone meanwhile, is left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/filter.h"
#include "agent/base/result.h"
#include "collectors/system_bus.h"

namespace msp::collectors {

struct SystemdUnit {
  std::string name;                // nginx.service
  std::string active_state;        // active
  std::string type = {};           // of a service: "simple"; of a mount: its file system's
  std::string control_group = {};  // of a service with processes: /system.slice/nginx.service
  std::optional<std::uint32_t> restarts = {};  // of a service, by systemd 235 and later
};

struct SystemdUnits {
  /// More than a host has of its own; asking for all would keep systemd busy.
  static constexpr std::size_t kWantedMax = 1'000;

  std::string version;       // 252.39-1~deb12u1
  std::string system_state;  // running, degraded...; empty where systemd does not know it
  std::vector<std::pair<std::string, std::size_t>> states;  // of all units, how many are in it
  std::vector<SystemdUnit> units;  // those that are wanted, and all that have failed; by name
};

/// The states that systemd's list always counts, those of node_exporter.
inline constexpr std::string_view kUnitStates[] = {"active", "activating", "deactivating",
                                                   "inactive", "failed"};

Result<SystemdUnits> ask_systemd(SystemBus& bus, const Filter& wanted);

}  // namespace msp::collectors
