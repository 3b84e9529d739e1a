#include "agent/run/open_files.h"

#include <sys/resource.h>

#include <algorithm>

#include "agent/base/text.h"
#include "agent/listen/server.h"
#include "agent/run/memory_limit.h"

namespace msp::run {
namespace {

// Standard streams, the service manager, the buffer's folder, its lock, its log and segments.
constexpr std::uint64_t kOwn = 32;
// A collector keeps open what is there once, and NumberFile::kKeptMax of what is there per device.
constexpr std::uint64_t kCollectors = 128;
// Two connections, two name servers asked at once for each, a segment that is read, and the files
// of a login and of certificates.
constexpr std::uint64_t kPerEndpoint = 10;
// Two connections, two name servers and a socket pair of theirs.
constexpr std::uint64_t kPerTarget = 6;

constexpr std::size_t kRelayConnectionsMax = 2'048;
// Of its memory a relay gives a quarter to connections. One that waits takes as much: its object, and
// what OpenSSL keeps of a session; tests/bench/tls_memory.py measures the like.
constexpr std::uint64_t kBytesPerConnection = 2 * 1024;
constexpr std::uint64_t kBytesPerSession = 14 * 1024;

/// Without connections of `listen`.
std::uint64_t files_of_the_rest(const config::Config& config) {
  // After a reload those that are gone end their last request beside the new ones.
  std::uint64_t targets = 0;
  for (const auto& scrape : config.scrape) targets += scrape.targets.size();
  targets += config.probes.size();
  // Collectors of its own for each choice of them that is read at the same time.
  const auto listen = config.listen.address.empty() ? 0 : 2 * kCollectors;
  return kOwn + kCollectors + 2 * kPerEndpoint * config.endpoints.size() + kPerTarget * targets +
         listen;
}

}  // namespace

std::uint64_t open_files_needed(const config::Config& config) {
  return files_of_the_rest(config) + (config.listen.address.empty() ? 0 : connections_max(config));
}

std::size_t connections_max(const config::Config& config) {
  if (!config.listen.receive) return listen::Server::kConnectionsMax;
  std::uint64_t most = kRelayConnectionsMax;
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max != RLIM_INFINITY) {
    const auto rest = files_of_the_rest(config);
    most = std::min<std::uint64_t>(most, limit.rlim_max - std::min(limit.rlim_max, rest));
  }
  if (const auto memory = memory_limit()) {
    const auto each = config.listen.tls.cert_file.empty() ? kBytesPerConnection
                                                          : kBytesPerConnection + kBytesPerSession;
    most = std::min(most, *memory / 4 / each);
  }
  return std::max<std::size_t>(most, listen::Server::kConnectionsMax);
}

std::string raise_open_files(std::uint64_t needed) {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return {};
  limit.rlim_cur = std::min<rlim_t>(needed, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max >= needed) return {};
  return cat("this process may have ", limit.rlim_max, " files open, and may need ", needed,
             ": collectors or endpoints can fail with 'Too many open files'; raise the limit "
             "(LimitNOFILE= of the unit, ulimit -n)");
}

}  // namespace msp::run
