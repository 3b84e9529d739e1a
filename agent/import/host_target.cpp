#include "agent/import/host_target.h"

#include <algorithm>
#include <iterator>

namespace msp {
namespace {

constexpr std::string_view kPort = ":9100";

}  // namespace

bool is_own_node_exporter(std::string_view address) {
  constexpr std::string_view kOwn[] = {"localhost", "[::1]", "0.0.0.0", "host.docker.internal"};
  if (!is_node_exporter(address)) return false;
  const auto host = address.substr(0, address.size() - kPort.size());
  return host.starts_with("127.") ||
         std::find(std::begin(kOwn), std::end(kOwn), host) != std::end(kOwn);
}

bool is_node_exporter(std::string_view address) {
  return address.ends_with(kPort) && address.find('/') == address.npos;
}

}  // namespace msp
