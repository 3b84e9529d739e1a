// zfs: what ZFS counts, from /proc/spl/kstat/zfs, where the module's version decides what there is:
//   arcstats, dbufstats, zil, ...   hits 4 8772612          name, type (3: signed, 4: unsigned), data
//   POOL/io                         nread nwritten ... and a line of as many numbers
//   POOL/objset-0x36                the same as arcstats, with the name of the data set in a line
//   POOL/state                      ONLINE
// A metric is named after its file and its line.
#include <algorithm>
#include <cerrno>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/kept_metric.h"
#include "collectors/optional_file.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kState{"node_zfs_zpool_state", "kstat.zfs.misc.state",
                            "/proc/spl/kstat/zfs/DEVICE/state", MetricType::gauge, "zpool,state"};
constexpr std::string_view kStates[] = {"online",  "degraded", "faulted",  "offline",
                                        "removed", "unavail",  "suspended"};

struct Table {
  std::string_view prefix;  // of the metrics
  std::string_view file;
};
constexpr Table kTables[] = {
    {"node_zfs_abd_", "abdstats"},
    {"node_zfs_arc_", "arcstats"},
    {"node_zfs_dbuf_", "dbufstats"},
    {"node_zfs_dmu_tx_", "dmu_tx"},
    {"node_zfs_dnode_", "dnodestats"},
    {"node_zfs_fm_", "fm"},
    {"node_zfs_vdev_cache_", "vdev_cache_stats"},
    {"node_zfs_vdev_mirror_", "vdev_mirror_stats"},
    {"node_zfs_xuio_", "xuio_stats"},
    {"node_zfs_zfetch_", "zfetchstats"},
    {"node_zfs_zil_", "zil"},
};
constexpr Table kIo{"node_zfs_zpool_", "io"};
constexpr Table kObjset{"node_zfs_zpool_dataset_", "objset"};

bool is_name(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

/// A file, by a path that is made when it is told.
struct Place {
  const std::string* path = nullptr;
  const SysFolder* folder = nullptr;  // else of `file` in it
  std::string_view file = {};

  std::string text() const { return path != nullptr ? *path : folder->path(file); }
};

class Zfs : public Collector {
 public:
  explicit Zfs(const CollectorContext& context) : folder_(context.paths.proc("spl/kstat/zfs")) {
    for (const auto& table : kTables) files_.emplace_back(context, cat(folder_, "/", table.file));
  }

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const SysFolder zfs(folder_);
    if (!zfs) return no_data(cat(folder_, ": no such folder"));
    for (std::size_t i = 0; i < std::size(kTables); ++i) {
      const auto content = files_[i].read(tick, out, "what it counts");
      if (content) add_kstat(kTables[i], {.path = &files_[i].path()}, *content, {}, {}, out);
      files_[i].close();  // there are many of them
    }
    zfs.list(names_);
    for (const auto& name : names_) {
      if (const SysFolder pool(zfs, name.c_str()); pool) add_pool(pool, name, out);
    }
    return {};
  }

 private:
  void add_pool(const SysFolder& pool, const std::string& name, SeriesWriter& out) {
    if (const auto io = pool.read("io"); io.size == sizeof io.bytes) {
      leave_out_file(pool, "io", io, out);
    } else if (io.error == 0) {
      add_io({.folder = &pool, .file = "io"}, {io.bytes, io.size}, name, out);
    } else {
      complain(pool, "io", io.error, "what the pool has read and written", out);
    }
    pool.list(objsets_);
    for (const auto& file : objsets_) {
      if (!file.starts_with("objset-")) continue;
      const auto content = pool.read(file.c_str());
      if (content.error != 0) {
        complain(pool, file, content.error, "a data set", out);
        continue;
      }
      const std::string_view text(content.bytes, content.size);
      const auto dataset = dataset_in(text);
      if (content.size == sizeof content.bytes || dataset.empty()) {
        leave_out_file(pool, file, content, out);
        continue;
      }
      add_kstat(kObjset, {.folder = &pool, .file = file}, text, name, dataset, out);
    }
    const auto content = pool.read("state");
    if (content.error != 0) return complain(pool, "state", content.error, kState.name, out);
    std::string state(content.text());
    for (char& c : state) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (!is_name(state)) {
      return out.complaints().garbled(pool.path("state"), content.text(), "the state of a pool",
                                      {kState.name});
    }
    for (const auto known : kStates) out.add(kState, {name, known}, known == state ? 1 : 0);
  }

  static void leave_out_file(const SysFolder& pool, std::string_view file, const SysText& content,
                             SeriesWriter& out) {
    out.complaints().garbled(pool.path(file), content.text(),
                             "counters of a pool or a named data set, in less than a page",
                             {"all of it"});
  }

  /// "dataset_name 7 pool/set with blanks"
  static std::string_view dataset_in(std::string_view rest) {
    while (auto line = next_line(rest)) {
      if (next_word(*line) != "dataset_name") continue;
      next_word(*line);
      return trim(*line);
    }
    return {};
  }

  void add_kstat(const Table& table, const Place& place, std::string_view rest,
                 std::string_view pool, std::string_view dataset, SeriesWriter& out) {
    bool is_data = false;
    seen_.clear();
    while (const auto line = next_line(rest)) {
      auto words = *line;
      const auto name = next_word(words);
      const auto type = next_word(words);
      const auto word = next_word(words);
      if (!is_data) {
        is_data = name == "name" && type == "type" && word == "data";
        continue;
      }
      if (name.empty() || name == "dataset_name") continue;
      const bool is_type = type.size() == 1 && type[0] >= '0' && type[0] <= '7';
      if (is_type && type != "3" && type != "4") continue;  // a text or a time
      if (!is_name(name) || !is_type || word.empty()) {
        out.complaints().garbled(place.text(), *line, "a name, a type and a number", {"a line"});
        continue;
      }
      if (!is_first(name)) {
        out.complaints().repeated(place.text(), name);
        continue;
      }
      add(table, name, place, word, type == "3", pool, dataset, out);
    }
    if (!is_data && !pool.empty()) return;  // a pool that goes away
    if (!is_data) {
      out.complaints().garbled(place.text(), "", "'name type data' and lines below it",
                               {"all of it"});
    }
  }

  void add_io(const Place& place, std::string_view rest, const std::string& pool,
              SeriesWriter& out) {
    std::string_view head;
    while (const auto line = next_line(rest)) {
      if (head.empty()) {
        auto words = *line;
        if (next_word(words) == "nread") head = *line;
        continue;
      }
      auto values = *line;
      seen_.clear();
      for (auto name = next_word(head); !name.empty(); name = next_word(head)) {
        const auto word = next_word(values);
        if (is_name(name) && is_first(name)) add(kIo, name, place, word, false, pool, {}, out);
      }
      return;
    }
  }

  bool is_first(std::string_view name) {
    if (std::ranges::find(seen_, name) != seen_.end()) return false;
    seen_.push_back(name);
    return true;
  }

  void add(const Table& table, std::string_view name, const Place& place, std::string_view word,
           bool is_signed, std::string_view pool, std::string_view dataset, SeriesWriter& out) {
    name_ = table.prefix;
    name_ += name;
    std::ranges::replace(name_, '-', '_');
    help_ = "kstat.zfs.misc.";
    help_ += table.file;
    help_ += '.';
    help_ += name;
    source_ = "/proc/spl/kstat/zfs/";
    source_ += pool.empty() ? table.file : dataset.empty() ? "DEVICE/io" : "DEVICE/objset-0xN";
    const auto* const metric = kept_metric(name_, help_, source_, MetricType::untyped,
                                           pool.empty()      ? ""
                                           : dataset.empty() ? "zpool"
                                                             : "zpool,dataset");
    if (metric == nullptr) return;
    const auto value = number(word, is_signed);
    if (!value) {
      return out.complaints().garbled(place.text(), word, is_signed ? "a whole number" : "a count",
                                      {metric->name});
    }
    if (pool.empty()) {
      out.add(*metric, *value);
    } else if (dataset.empty()) {
      out.add(*metric, {pool}, *value);
    } else {
      out.add(*metric, {pool, dataset}, *value);
    }
  }

  static std::optional<double> number(std::string_view word, bool is_signed) {
    if (is_signed) {
      const auto value = parse_number<std::int64_t>(word);
      return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
    }
    const auto value = parse_number<std::uint64_t>(word);
    return value ? std::optional(static_cast<double>(*value)) : std::nullopt;
  }

  const std::string folder_;
  std::vector<OptionalFile> files_;  // of kTables
  std::vector<std::string> names_;
  std::vector<std::string> objsets_;
  std::vector<std::string_view> seen_;  // names of one file
  std::string name_;                    // of one line after the other
  std::string help_;
  std::string source_;
};

}  // namespace

CollectorType zfs_collector() {
  return {.make = make_collector<Zfs>, .costly = "each data set has a file"};
}

}  // namespace msp::collectors
