// msp-agent collectors: the list, and which of them are on where the configuration does not say
// otherwise.
#include <algorithm>
#include <cstdio>

#include "agent/cli/commands.h"
#include "collectors/registry.h"

namespace msp {

int list_collectors() {
  std::size_t width = 0;
  for (const auto name : collector_names()) width = std::max(width, name.size());
  for (const auto& entry : collector_registry()) {
    std::printf("%-*.*s %s\n", static_cast<int>(width), static_cast<int>(entry.name.size()),
                entry.name.data(), entry.default_on ? "on" : "off");
  }
  return std::fflush(stdout) == 0 ? kExitDone : kExitFailed;
}

}  // namespace msp
