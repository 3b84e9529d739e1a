// The contract of a collector: a part of the source `host`, one class each, made by a factory in
// registry.cpp, asked once a tick.
//
// A collector reads the host through the paths and the Host it was given, never through fixed ones;
// keeps its files open between ticks, but no more than a fixed number of those of which there is
// one per device; allocates nothing while nothing changes; logs nothing.
//
// It promises what it can know. A value that the kernel has garbled costs that value, a line that
// is none costs that line, and a file beside the collector's own one costs what is read from it:
// SeriesWriter::complaints() is told, and the rest is reported. NaN, infinities, negative numbers
// and counters beyond 2^64 are garbled where the kernel cannot mean them. When the collector's own
// file cannot be read, or nothing in it is what it should be, collect() returns an error: what it
// had written in this tick is dropped, and the runner reports node_scrape_collector_success 0. What
// the kernel does not have is Error::Kind::no_data, or left out in silence, not a failure.
//
// Main thread only, one call at a time, and none of them may wait: a collector that is late delays
// all others. What can hang or is slow runs in a thread of the collector's own, from begin() on.
#pragma once

#include <sys/statvfs.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/base/file.h"
#include "agent/base/filter.h"
#include "agent/base/result.h"
#include "agent/base/text.h"
#include "agent/base/wakeup.h"
#include "agent/metrics/series_writer.h"
#include "agent/metrics/tick.h"

namespace msp {

/// Where the host's file systems are, as node_exporter's flags of the same names. No trailing
/// slash, "/" excepted.
struct HostPaths {
  std::string procfs = "/proc";
  std::string sysfs = "/sys";
  std::string rootfs = "/";

  std::string proc(std::string_view name) const { return procfs + "/" + std::string(name); }
  std::string sys(std::string_view name) const { return sysfs + "/" + std::string(name); }
  /// `path` is absolute.
  std::string root(std::string_view path) const {
    if (rootfs == "/") return std::string(path);
    return path == "/" ? rootfs : rootfs + std::string(path);
  }
};

/// The system calls whose answers no file can stand in for. As the manual pages: -1 and errno
/// on failure.
struct Host {
  int (*uname)(struct utsname*) = ::uname;
  int (*statvfs)(const char* path, struct statvfs*) = ::statvfs;  // any thread, may block for ever
  int (*adjtimex)(struct timex*) = ::adjtimex;
};

struct CollectorOptions {
  struct Filesystem {
    Filter mount_points;
    Filter fs_types;
    std::chrono::milliseconds mount_timeout{5000};
    friend bool operator==(const Filesystem&, const Filesystem&) = default;
  } filesystem;
  Filter diskstats_devices;
  Filter netdev_devices;
  std::chrono::milliseconds interval{0};  // between ticks; 0: not known
  friend bool operator==(const CollectorOptions&, const CollectorOptions&) = default;
};

/// What a factory gets; all of it outlives the collector.
struct CollectorContext {
  const HostPaths& paths;
  const Host& host;
  const CollectorOptions& options;
  FileTable& files;
  std::shared_ptr<const Wakeup> wakeup = nullptr;  // null: nobody is woken
};

class Collector {
 public:
  virtual ~Collector() = default;

  /// Starts what can hang or is slow, without waiting for it. True: it has started something, and
  /// collect() comes when wait_ns() is 0 or the tick must end; false: collect() comes at once. An
  /// error is one of the whole tick.
  virtual Result<bool> begin(const Tick& tick) {
    static_cast<void>(tick);
    return false;
  }

  /// 0: collect() has all that it could wait for. Else in how many nanoseconds to ask again, at the
  /// latest; earlier, when the collector uses CollectorContext::wakeup.
  virtual std::int64_t wait_ns() { return 0; }

  /// Never waits.
  virtual Result<void> collect(const Tick& tick, SeriesWriter& out) = 0;
};

/// How the error ends of a file in which nothing is what it should be: ", got 'its first line'";
/// empty for an empty one.
inline std::string got(std::string_view content) {
  if (content.empty()) return {};
  return cat(", got ", quoted(content.substr(0, content.find('\n')), kQuotedBytesMax));
}

using CollectorFactory = std::unique_ptr<Collector> (*)(const CollectorContext&);

}  // namespace msp
