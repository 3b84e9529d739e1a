// What Docker, or Podman's socket that speaks as Docker does, calls its containers: its answer to
// GET /containers/json, which costs it some 10 ms.
//
// Promised: the names are those of an answer that came as a whole, and are UTF-8. For a thread that may
// wait, no longer than it says.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "agent/base/result.h"
#include "collectors/container_tree.h"

namespace msp::collectors {

using NamesById = std::map<std::string, ContainerLabels, std::less<>>;

struct DockerAnswer {
  std::string socket;
  NamesById names;
  Error error;  // without a text: the names are there
};

/// Asks the one behind the socket. An error begins with its path.
void ask_docker(DockerAnswer& answer, std::chrono::milliseconds timeout);

/// Into `names`. False where that is no list of containers.
bool parse_docker_names(std::string_view json, NamesById& names);

}  // namespace msp::collectors
