// The names of containers, from what the agent's user can read. None is made up: what is not known
// stays empty.
//   the path of the control group           LXC, Incus, nspawn, libvirt
//   /var/lib/msp-agent-textfile/containers.prom   name and image, from docker and podman, as root
//                                           (packaging/textfile/containers)
//   the socket of Docker                    the same, where collectors.containers.docker_socket says so
//   the command line of conmon              Podman: "conmon .. -c <id> .. -n <name> .."
//   /var/log/containers/POD_NAMESPACE_CONTAINER-<id>.log, /var/log/pods/NAMESPACE_POD_UID/   Kubernetes
//
// One thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "collectors/collector.h"
#include "collectors/container_tree.h"
#include "collectors/docker_names.h"
#include "collectors/replaced_file.h"

namespace msp::collectors {

class ContainerNames {
 public:
  explicit ContainerNames(const HostPaths& paths)
      : file_(paths.root("/var/lib/msp-agent-textfile/containers.prom")),
        logs_folder_(paths.root("/var/log/containers")),
        pods_folder_(paths.root("/var/log/pods")) {}

  /// Looks at the file of names. True: it says something else than before. `out` is told what is wrong
  /// with it.
  bool look(SeriesWriter& out);

  /// What Docker has answered last, without an error.
  void take_answer(std::shared_ptr<const DockerAnswer> answer) { answer_ = std::move(answer); }

  /// The labels of `container`. `monitor` is the command line of the parent of its first process, its
  /// arguments each followed by NUL.
  ContainerLabels labels_of(const Container& container, std::string_view monitor) const;

  /// Lists the logs of pods, which labels_of() looks in until the next call.
  void list_logs(bool has_pods);

 private:
  ReplacedFile file_;
  const std::string logs_folder_;
  const std::string pods_folder_;
  NamesById named_;                             // by the file
  std::shared_ptr<const DockerAnswer> answer_;  // null: there is none
  NamesById logs_;  // by the logs, by the id of a container or the UID of a pod
};

}  // namespace msp::collectors
