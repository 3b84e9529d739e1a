// What the name of a control group says of the container whose group it is. Each runtime has a form of
// its own; common to most is that the name ends with the container's id, 64 hexadecimal digits:
//   system.slice/docker-<id>.scope       Docker, driver systemd; docker/<id> with the driver cgroupfs
//   machine.slice/libpod-<id>.scope      Podman; <name>.service/libpod-payload-<id> of a quadlet
//   kubepods.slice/../cri-containerd-<id>.scope, crio-<id>.scope; kubepods/../<id>
//   lxc.payload.<name>, lxc/<name>       LXC, Incus, Proxmox
//   machine.slice/systemd-nspawn@<name>.service, machine-<name>.scope
//   machine.slice/machine-qemu\x2d3\x2d<name>.scope, qemu.slice/<number>.scope   virtual machines
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace msp::collectors {

struct ContainerPath {
  std::string_view id = {};  // 64 digits, a part of what was asked; empty: it has none
  std::string name = {};     // empty: the path does not say it
};

/// `group` is the last part of the path, `parent` the one before it, which may be empty. Nothing where
/// that is no container, as the group of a container's monitor is not.
std::optional<ContainerPath> container_of(std::string_view group, std::string_view parent);

/// The pod whose control group has this name, as the directories of its logs have it; empty where it is
/// none: "0f3c1b7e-.." of "kubepods-burstable-pod0f3c1b7e_...slice" and of "pod0f3c1b7e-..".
std::string pod_uid(std::string_view group);

}  // namespace msp::collectors
