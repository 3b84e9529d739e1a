// Exporters on this host that answer at a well-known port of its loopback address: for `check` and
// `init --scrape`. Reads which ports are listened on from /proc/net/tcp and tcp6, and asks those that it
// knows for /metrics, all at once: 2 s and a few megabytes at most, never another address than 127.0.0.1.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/check_report.h"
#include "agent/config/config.h"
#include "collectors/collector.h"

namespace msp::cli {

struct ListeningPort {
  std::uint16_t port = 0;
  bool to_world = false;     // at every address of the host
  bool on_loopback = false;  // whoever asks 127.0.0.1 reaches it
  friend bool operator==(const ListeningPort&, const ListeningPort&) = default;
};

/// Those of a text of /proc/net/tcp or tcp6 (proc_pid_net(5)); a line that is none is passed over.
std::vector<ListeningPort> listening_ports(std::string_view text);

struct FoundExporter {
  std::string_view job;
  std::uint16_t port = 0;
  bool to_world = false;
  bool is_replaced = false;  // node_exporter, for which the collectors stand
};

/// In the order of their ports. Needs init_http().
std::vector<FoundExporter> find_exporters(const collectors::HostPaths& paths);

/// A block of the configuration that scrapes them; empty where there is none to scrape.
std::string scrape_block(const std::vector<FoundExporter>& exporters);

/// A step for each exporter that the configuration does not scrape, or that listens to the world.
void check_exporters(const config::Config& config, const collectors::HostPaths& paths,
                     CheckReport& report);

}  // namespace msp::cli
