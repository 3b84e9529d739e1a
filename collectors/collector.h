// The contract of a collector: a part of the source `host`, one class each, in a file with its options,
// asked once a tick.
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
// A collector that finds no data (Error::Kind::no_data) is not asked again for a minute; nor is one
// without a series whose CollectorType says empty_is_absent.
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
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/config_key.h"
#include "agent/base/file.h"
#include "agent/base/result.h"
#include "agent/base/text.h"
#include "agent/base/wakeup.h"
#include "collectors/vocabulary.h"

namespace msp::collectors {

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

/// The options of one collector, in a type of the collector's file, which nobody else knows. Copies
/// share the values.
class CollectorOptions {
 public:
  CollectorOptions() = default;  // of a collector that has none
  template <typename Options>
  CollectorOptions(std::in_place_type_t<Options>, std::span<const ConfigKey> keys)
      : keys_(keys),
        values_(std::make_shared<Options>()),
        are_equal_([](const void* a, const void* b) {
          return *static_cast<const Options*>(a) == *static_cast<const Options*>(b);
        }) {}

  std::span<const ConfigKey> keys() const { return keys_; }
  /// The object that the fields of keys() are in; null where there are none.
  void* values() const { return values_.get(); }
  template <typename Options>
  const Options& as() const {
    return *static_cast<const Options*>(values_.get());
  }

  friend bool operator==(const CollectorOptions& a, const CollectorOptions& b) {
    return a.keys_.data() == b.keys_.data() &&
           (a.values_ == b.values_ || a.are_equal_(a.values_.get(), b.values_.get()));
  }

 private:
  std::span<const ConfigKey> keys_;
  std::shared_ptr<void> values_;
  bool (*are_equal_)(const void*, const void*) = nullptr;
};

/// What a factory gets; all of it outlives the collector.
struct CollectorContext {
  const HostPaths& paths;
  const Host& host;
  const CollectorOptions& options;  // of this collector
  FileTable& files;
  std::shared_ptr<const Wakeup> wakeup = nullptr;  // null: nobody is woken
  std::chrono::milliseconds interval{0};           // between ticks; 0: not known
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

/// What collectors/<name>.cpp defines, as the result of a function <name>_collector().
struct CollectorType {
  std::unique_ptr<Collector> (*make)(const CollectorContext&);
  /// The options, all devices and mounts wanted: the defaults of the keys are set when the
  /// configuration is read.
  CollectorOptions (*options)() = [] { return CollectorOptions(); };
  /// Its series come from outside: where another part of the scrape has the same one, that is sent.
  bool gives_way = false;
  /// Why one tick of it may cost the host more than all others together, as the end of a sentence
  /// (docs/metrics.md); such a collector is asked at an interval of its own. Empty: it is cheap.
  std::string_view costly = {};
  /// Where it succeeds and has no series the host has none of such hardware, and it is asked again
  /// after a minute, as with no_data. Not of one whose series come and go.
  bool empty_is_absent = false;
};

template <typename Class>
std::unique_ptr<Collector> make_collector(const CollectorContext& context) {
  return std::make_unique<Class>(context);
}

/// `Keys` is a table of keys that are members of `Options`.
template <typename Options, const auto& Keys>
CollectorOptions make_options() {
  return CollectorOptions(std::in_place_type<Options>, Keys);
}

}  // namespace msp::collectors
