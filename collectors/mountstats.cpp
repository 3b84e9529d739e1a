// mountstats: what each NFS mount of the agent's own mount namespace has read, written and asked its
// server for, from /proc/self/mountstats (fs/nfs/super.c, net/sunrpc/stats.c):
//   device filer:/srv mounted on /srv with fstype nfs4 statvers=1.1
//   	age:	13968
//   	events:	52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 0
//   	bytes:	1207640230 0 0 0 1210214218 0 295483 0
//   	xprt:	tcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726
//   	per-op statistics
//   	        READ: 1298 1298 0 207680 1210292152 6 79386 79407 0
// and the server's address from /proc/self/mountinfo. Two mounts of one export over one protocol share
// their counters and are sent once. What a protocol does not count is left out; node_exporter sends 0
// for it.
#include <algorithm>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/kept_metric.h"
#include "collectors/label_text.h"
#include "collectors/mountinfo.h"
#include "collectors/number_labels.h"

namespace msp::collectors {
namespace {

constexpr std::string_view kSource = "/proc/self/mountstats";
constexpr MetricDesc kInfo{"node_mountstats_nfs_mountpoint_info",
                           "Info metric for an NFS mountpoint.",
                           "/proc/self/mountstats, /proc/self/mountinfo", MetricType::gauge,
                           "export,protocol,mountaddr,mountpoint"};
constexpr MetricDesc kAge{"node_mountstats_nfs_age_seconds_total",
                          "The age of the NFS mount in seconds.", kSource, MetricType::counter,
                          "export,protocol,mountaddr"};

// Of each column the end of the metric's name, and its HELP; "-": not sent. clang-format off
constexpr std::string_view kBytes =
    "read_bytes_total Number of bytes read using the read() syscall.\n"
    "write_bytes_total Number of bytes written using the write() syscall.\n"
    "direct_read_bytes_total Number of bytes read using the read() syscall in O_DIRECT mode.\n"
    "direct_write_bytes_total Number of bytes written using the write() syscall in O_DIRECT mode.\n"
    "total_read_bytes_total Number of bytes read from the NFS server, in total.\n"
    "total_write_bytes_total Number of bytes written to the NFS server, in total.\n"
    "read_pages_total Number of pages read directly via mmap()'d files.\n"
    "write_pages_total Number of pages written directly via mmap()'d files.\n";
constexpr std::string_view kEvents =
    "event_inode_revalidate_total Number of times cached inode attributes are re-validated from "
    "the server.\n"
    "event_dnode_revalidate_total Number of times cached dentry nodes are re-validated from the "
    "server.\n"
    "event_data_invalidate_total Number of times an inode cache is cleared.\n"
    "event_attribute_invalidate_total Number of times cached inode attributes are invalidated.\n"
    "event_vfs_open_total Number of times cached inode attributes are invalidated.\n"
    "event_vfs_lookup_total Number of times a directory lookup has occurred.\n"
    "event_vfs_access_total Number of times permissions have been checked.\n"
    "event_vfs_update_page_total Number of updates (and potential writes) to pages.\n"
    "event_vfs_read_page_total Number of pages read directly via mmap()'d files.\n"
    "event_vfs_read_pages_total Number of times a group of pages have been read.\n"
    "event_vfs_write_page_total Number of pages written directly via mmap()'d files.\n"
    "event_vfs_write_pages_total Number of times a group of pages have been written.\n"
    "event_vfs_getdents_total Number of times directory entries have been read with getdents().\n"
    "event_vfs_setattr_total Number of times directory entries have been read with getdents().\n"
    "event_vfs_flush_total Number of pending writes that have been forcefully flushed to the "
    "server.\n"
    "event_vfs_fsync_total Number of times fsync() has been called on directories and files.\n"
    "event_vfs_lock_total Number of times locking has been attempted on a file.\n"
    "event_vfs_file_release_total Number of times files have been closed and released.\n"
    "-\n"
    "event_truncation_total Number of times files have been truncated.\n"
    "event_write_extension_total Number of times a file has been grown due to writes beyond its "
    "existing end.\n"
    "event_silly_rename_total Number of times a file was removed while still open by another "
    "process.\n"
    "event_short_read_total Number of times the NFS server gave less data than expected while "
    "reading.\n"
    "event_short_write_total Number of times the NFS server wrote less data than expected while "
    "writing.\n"
    "event_jukebox_delay_total Number of times the NFS server indicated EJUKEBOX; retrieving data "
    "from offline storage.\n"
    "event_pnfs_read_total Number of NFS v4.1+ pNFS reads.\n"
    "event_pnfs_write_total Number of NFS v4.1+ pNFS writes.\n";
constexpr std::string_view kTransport =
    "-\n"
    "transport_bind_total Number of times the client has had to establish a connection from "
    "scratch to the NFS server.\n"
    "transport_connect_total Number of times the client has made a TCP connection to the NFS "
    "server.\n"
    "-\n"
    "transport_idle_time_seconds Duration since the NFS mount last saw any RPC traffic, in "
    "seconds.\n"
    "transport_sends_total Number of RPC requests for this mount sent to the NFS server.\n"
    "transport_receives_total Number of RPC responses for this mount received from the NFS "
    "server.\n"
    "transport_bad_transaction_ids_total Number of times the NFS server sent a response with a "
    "transaction ID unknown to this client.\n"
    "-\n"
    "transport_backlog_queue_total Total number of items added to the RPC backlog queue.\n"
    "transport_maximum_rpc_slots Maximum number of simultaneously active RPC requests ever used.\n"
    "transport_sending_queue_total Total number of items added to the RPC transmission sending "
    "queue.\n"
    "transport_pending_queue_total Total number of items added to the RPC transmission pending "
    "queue.\n";
constexpr std::string_view kOperations =
    "operations_requests_total Number of requests performed for a given operation.\n"
    "operations_transmissions_total Number of times an actual RPC request has been transmitted for "
    "a given operation.\n"
    "operations_major_timeouts_total Number of times a request has had a major timeout for a given "
    "operation.\n"
    "operations_sent_bytes_total Number of bytes sent for a given operation, including RPC headers "
    "and payload.\n"
    "operations_received_bytes_total Number of bytes received for a given operation, including RPC "
    "headers and payload.\n"
    "operations_queue_time_seconds_total Duration all requests spent queued for transmission for a "
    "given operation before they were sent, in seconds.\n"
    "operations_response_time_seconds_total Duration all requests took to get a reply back after a "
    "request for a given operation was transmitted, in seconds.\n"
    "operations_request_time_seconds_total Duration all requests took from when a request was "
    "enqueued to when it was completely handled for a given operation, in seconds.\n";
// clang-format on

/// Null: the column is not sent.
using Metrics = std::vector<const MetricDesc*>;

Metrics metrics_of(std::string_view columns, std::string_view label_names) {
  Metrics metrics;
  while (auto help = next_line(columns)) {
    const auto name = next_word(*help);
    const auto type = name.ends_with("_total") ? MetricType::counter : MetricType::gauge;
    metrics.push_back(name == "-" ? nullptr
                                  : kept_metric(cat("node_mountstats_nfs_", name), trim(*help),
                                                kSource, type, label_names));
  }
  return metrics;
}

class Mountstats : public Collector {
 public:
  explicit Mountstats(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("self/mountstats"))),
        mounts_(context.files.open(context.paths.proc("self/mountinfo"))),
        bytes_(metrics_of(kBytes, "export,protocol,mountaddr")),
        events_(metrics_of(kEvents, "export,protocol,mountaddr")),
        transport_(metrics_of(kTransport, "export,protocol,mountaddr,transport")),
        operations_(metrics_of(kOperations, "export,protocol,mountaddr,operation")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    if (!has_device(*content)) return failed(cat(file_->path(), ": no mount", got(*content)));
    find_mounts(*content, out);
    if (used_ == 0 && !is_garbled_) {
      return no_data(cat(file_->path(), ": nothing is mounted over NFS"));
    }
    const auto mounts = mounts_->read(tick.number);
    if (!mounts) return mounts.error();
    find_addresses(*mounts, out);
    for (std::size_t i = 0; i < used_; ++i) {
      if (found_[i].address.empty()) continue;
      bool is_sent = false, has_info = false;
      for (std::size_t j = 0; j < i; ++j) {
        if (!found_[j].is_same(found_[i])) continue;
        is_sent = true;
        has_info = has_info || found_[j].mount_point == found_[i].mount_point;
      }
      const auto& mount = found_[i];
      if (!has_info) {
        out.add(kInfo, {mount.server, mount.protocol, mount.address, mount.mount_point}, 1);
      }
      if (!is_sent) add(mount, out);
    }
    return {};
  }

 private:
  struct Mount {
    std::string server;  // and its export, made UTF-8
    std::string mount_point;
    std::string_view raw_server, raw_mount_point;  // as both files have them
    std::string_view lines;
    std::string_view protocol;
    std::string_view address = {};  // empty: it is not known

    bool is_same(const Mount& other) const {
      return server == other.server && protocol == other.protocol && address == other.address;
    }
  };

  static bool is_device(std::string_view line) {
    return line.starts_with("device ") || line.starts_with("no device ");
  }

  static bool has_device(std::string_view rest) {
    while (const auto line = next_line(rest)) {
      if (is_device(*line)) return true;
    }
    return false;
  }

  /// The NFS mounts into the first used_ of found_.
  void find_mounts(std::string_view rest, SeriesWriter& out) {
    used_ = 0;
    is_garbled_ = false;
    while (const auto line = next_line(rest)) {
      if (!line->starts_with("device ")) continue;
      std::string_view words[8];
      auto text = *line;
      for (auto& word : words) word = next_word(text);
      if (words[2] != "mounted" || words[3] != "on" || words[6] != "fstype") {
        complain(*line, "'device .. mounted on .. with fstype ..'", "a line", out);
        continue;
      }
      if (words[7] != "nfs" && words[7] != "nfs4") continue;
      const auto begin = rest;
      std::string_view protocol;
      for (auto next = rest; auto more = next_line(rest); next = rest) {
        if (is_device(*more)) {
          rest = next;
          break;
        }
        if (protocol.empty() && next_word(*more) == "xprt:") protocol = next_word(*more);
      }
      if (protocol.empty()) continue;
      if (has_control(protocol)) {
        complain(protocol, "a protocol", "a mount", out);
        continue;
      }
      if (used_ == found_.size()) found_.emplace_back();
      auto& mount = found_[used_++];
      mount.raw_server = words[1];
      mount.raw_mount_point = words[4];
      assign_utf8(mount.server, words[1]);
      assign_utf8(mount.mount_point, words[4]);
      mount.lines = begin.substr(0, begin.size() - rest.size());
      mount.protocol = protocol;
      mount.address = {};
    }
  }

  /// A mount without an address would be a series of another name: it is left out.
  void find_addresses(std::string_view rest, SeriesWriter& out) {
    while (const auto text = next_line(rest)) {
      const auto line = parse_mount_line(*text);
      if (!line || !line->fs_type.starts_with("nfs")) continue;
      const auto address = address_in(line->super_options);
      for (std::size_t i = 0; i < used_; ++i) {
        if (found_[i].raw_mount_point != line->mount_point) continue;
        if (found_[i].raw_server == line->device) found_[i].address = address;
      }
    }
    for (std::size_t i = 0; i < used_; ++i) {
      if (!found_[i].address.empty()) continue;
      out.complaints().garbled(mounts_->path(), "",
                               "a mount with its addr=", {"the mount", {found_[i].server}});
    }
  }

  /// "192.0.2.9" of "rw,vers=4.2,addr=192.0.2.9"; empty where there is none.
  static std::string_view address_in(std::string_view options) {
    while (!options.empty()) {
      const auto option = options.substr(0, options.find(','));
      if (option.starts_with("addr=")) return is_printable(option) ? option.substr(5) : "";
      options.remove_prefix(std::min(option.size() + 1, options.size()));
    }
    return {};
  }

  void add(const Mount& mount, SeriesWriter& out) {
    std::size_t transport = 0;
    bool are_operations = false;
    seen_.clear();
    for (auto rest = mount.lines; auto line = next_line(rest);) {
      const auto whole = trim(*line);
      auto name = next_word(*line);
      if (are_operations) {
        if (name.empty()) continue;
        if (!name.ends_with(':') || !is_printable(name)) {
          complain(whole, "an operation", "a line", out);
          continue;
        }
        name.remove_suffix(1);
        if (is_repeated(name, out)) continue;
        if (!is_short(mount, whole, *line, 8, out)) add_operation(mount, name, *line, out);
      } else if (name == "xprt:") {
        add_transport(mount, labels_.of(transport++), whole, *line, out);
      } else if (name == "per-op") {
        are_operations = true;
      } else if ((name != "age:" && name != "bytes:" && name != "events:") ||
                 is_repeated(name, out)) {
        continue;
      } else if (name == "age:") {
        if (const auto seconds = count(kAge, next_word(*line), out)) {
          out.add(kAge, {mount.server, mount.protocol, mount.address}, *seconds);
        }
      } else if (name == "bytes:") {
        add_columns(mount, bytes_, whole, *line, 8, out);
      } else {
        add_columns(mount, events_, whole, *line, 25, out);  // 27 since pNFS
      }
    }
  }

  void add_columns(const Mount& mount, const Metrics& metrics, std::string_view whole,
                   std::string_view rest, std::size_t least, SeriesWriter& out) const {
    if (is_short(mount, whole, rest, least, out)) return;
    for (const auto* const metric : metrics) {
      const auto word = next_word(rest);
      if (word.empty()) return;
      const auto value = metric != nullptr ? count(*metric, word, out) : std::nullopt;
      if (value) out.add(*metric, {mount.server, mount.protocol, mount.address}, *value);
    }
  }

  /// A datagram has no connection, and RDMA counts other things behind the first ten.
  void add_transport(const Mount& mount, std::string_view number, std::string_view whole,
                     std::string_view rest, SeriesWriter& out) const {
    const auto protocol = next_word(rest);
    const bool is_udp = protocol == "udp";
    if (is_short(mount, whole, rest, is_udp ? 7 : 10, out)) return;
    const auto columns = protocol == "rdma" ? 10 : transport_.size();
    for (std::size_t i = 0; i < columns; ++i) {
      if (is_udp && i >= 2 && i < 5) continue;
      const auto word = next_word(rest);
      if (word.empty()) return;
      const auto* const metric = transport_[i];
      const auto value = metric != nullptr ? count(*metric, word, out) : std::nullopt;
      if (value) out.add(*metric, {mount.server, mount.protocol, mount.address, number}, *value);
    }
  }

  void add_operation(const Mount& mount, std::string_view name, std::string_view rest,
                     SeriesWriter& out) const {
    for (const auto* const metric : operations_) {
      const auto unit = metric->name.ends_with("_seconds_total") ? 1000 : 1;
      if (const auto value = count(*metric, next_word(rest), out)) {
        out.add(*metric, {mount.server, mount.protocol, mount.address, name}, *value / unit);
      }
    }
  }

  bool is_repeated(std::string_view name, SeriesWriter& out) {
    const bool is_known = std::ranges::find(seen_, name) != seen_.end();
    if (is_known) out.complaints().repeated(file_->path(), name);
    if (!is_known) seen_.push_back(name);
    return is_known;
  }

  bool is_short(const Mount& mount, std::string_view whole, std::string_view rest,
                std::size_t least, SeriesWriter& out) const {
    if (words_in(rest) >= least) return false;
    out.complaints().garbled(file_->path(), whole, "a line of all its numbers",
                             {"a line", {mount.server}});
    return true;
  }

  std::optional<double> count(const MetricDesc& metric, std::string_view word,
                              SeriesWriter& out) const {
    const auto number = parse_number<std::uint64_t>(word);
    if (number) return static_cast<double>(*number);
    out.complaints().garbled(file_->path(), word, "a count", {metric.name});
    return std::nullopt;
  }

  void complain(std::string_view text, std::string_view expected, std::string_view left_out,
                SeriesWriter& out) {
    is_garbled_ = true;
    out.complaints().garbled(file_->path(), text, expected, {left_out});
  }

  static void assign_utf8(std::string& to, std::string_view text) {
    to = text;
    if (!is_utf8(to)) make_utf8(to);
  }

  std::shared_ptr<KeptFile> file_;
  std::shared_ptr<KeptFile> mounts_;
  const Metrics bytes_, events_, transport_, operations_;
  std::vector<Mount> found_;  // the first used_ are this tick's
  std::size_t used_ = 0;
  bool is_garbled_ = false;             // a line of this tick
  std::vector<std::string_view> seen_;  // names of lines of the mount that is being sent
  NumberLabels labels_;
};

}  // namespace

CollectorType mountstats_collector() {
  return {.make = make_collector<Mountstats>, .costly = "each NFS mount has hundreds of series"};
}

}  // namespace msp::collectors
