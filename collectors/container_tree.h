// The control groups of a host (cgroups(7)) and which of them are those of containers, found anew at
// each tick at the price of little more than a stat of each container: a folder is listed only when the
// number of folders in it has changed. All are listed once a minute, for one that has come while another
// one has gone does not show in the number, and whenever a container has ended.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collectors/sys_folder.h"

namespace msp::collectors {

/// What is known of a container's names; empty: not known.
struct ContainerLabels {
  std::string name;
  std::string image;
  std::string container;  // these three in Kubernetes
  std::string pod;
  std::string pod_namespace;
  std::string compose_project;
  std::string compose_service;
  friend bool operator==(const ContainerLabels&, const ContainerLabels&) = default;
};

struct Container {
  std::string path;       // of its control group, below where the groups are mounted: "/docker/.."
  std::string engine_id;  // 64 digits, or empty
  std::string pod_uid;    // empty: it is not in a pod
  std::string path_name;  // the name that the path says, or empty
  ContainerLabels labels;
  std::optional<double> start_seconds = std::nullopt;  // since 1970
  bool is_sandbox = false;                             // of a pod, whose network the others use
  bool is_sent = false;                                // within the limit
  std::uint64_t asked_tick = 0;  // in which names and start were looked for last
};

struct ControlGroup {
  std::string name;
  SysIdentity seen;
  std::vector<std::unique_ptr<ControlGroup>> groups;  // by name
  std::unique_ptr<Container> container;               // null: of none
};

class ContainerTree {
 public:
  /// `root` is where the groups are mounted.
  explicit ContainerTree(std::string root) : root_(std::move(root)) {}

  /// True: containers have come or gone since the last look. Those that stay keep their Container.
  bool look(std::int64_t monotonic_ns);

  /// Those with a container, by path. Valid until the next look.
  const std::vector<ControlGroup*>& containers() const { return containers_; }

  const std::string& root() const { return root_; }
  /// Some groups are so deep, or so many, that they are not looked at.
  bool is_cut_off() const { return is_cut_off_; }

 private:
  void walk(ControlGroup& group, const SysFolder& folder, std::size_t depth, bool is_whole);
  void list(ControlGroup& group, const SysFolder& folder);
  std::unique_ptr<ControlGroup> make(const ControlGroup& parent, const std::string& name);
  void find_containers(ControlGroup& group);

  std::string root_;
  ControlGroup top_;
  std::vector<ControlGroup*> containers_;
  std::vector<std::string> names_;  // kept for its memory
  std::string path_;                // of the group that is walked
  std::int64_t whole_ns_ = 0;       // when all were listed last
  std::size_t groups_ = 0;          // so far in this walk
  bool is_changed_ = false;
  bool is_cut_off_ = false;
};

}  // namespace msp::collectors
