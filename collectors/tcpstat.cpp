// tcpstat: how many TCP sockets are in each state, and the bytes in their queues, from /proc/net/tcp
// and tcp6 (Documentation/networking/proc_net_tcp.rst), a line per socket:
//   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt ...
//    0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000 ...
// node_exporter asks over netlink, which the systemd unit closes. Unlike it, a state that no socket is
// in is 0, and the longest backlog of listening sockets is not among the bytes to send.
//
// The kernel is slow to write these lines, and a host may have a million of them: /proc/net/sockstat
// says how many there are, and from kSocketsMax on they are not read.
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bitset>
#include <cerrno>
#include <cstring>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kStates{"node_tcp_connection_states", "Number of connection states.",
                             "/proc/net/tcp, /proc/net/tcp6", MetricType::gauge, "state"};
// In the order of their numbers (include/net/tcp_states.h), from 1 on.
constexpr std::string_view kNames[] = {"established",    "syn_sent",  "syn_recv", "fin_wait1",
                                       "fin_wait2",      "time_wait", "close",    "close_wait",
                                       "last_ack",       "listen",    "closing",  "rx_queued_bytes",
                                       "tx_queued_bytes"};
constexpr std::size_t kStatesEnd = 11;
constexpr std::size_t kReceived = 11;
constexpr std::size_t kToSend = 12;
constexpr std::uint64_t kSocketsMax = 20'000;

class Tcpstat : public Collector {
 public:
  explicit Tcpstat(const CollectorContext& context)
      : paths_{context.paths.proc("net/tcp"), context.paths.proc("net/tcp6")},
        sockstat_(context, context.paths.proc("net/sockstat")),
        sockstat6_(context, context.paths.proc("net/sockstat6")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto sockets = sockets_in(sockstat_, tick, out) + sockets_in(sockstat6_, tick, out);
    if (sockets > kSocketsMax) {
      return failed(cat(grouped(sockets), " TCP sockets: more than ", grouped(kSocketsMax),
                        " are not counted, for that would cost the host too much"));
    }
    numbers_ = {};
    is_unknown_.reset();
    for (const auto& path : paths_) {
      // A kernel without IPv6 lacks the second one; a text for that would be made at each tick.
      const bool is_there = ::access(path.c_str(), F_OK) == 0;
      if (!is_there && &path == &paths_[0]) return no_data(cat(path, ": ", errno_text(errno)));
      if (!is_there) continue;
      if (const auto read = add_file(path, out); !read) return read;
    }
    for (std::size_t i = 0; i < numbers_.size(); ++i) {
      if (!is_unknown_[i]) out.add(kStates, {kNames[i]}, static_cast<double>(numbers_[i]));
    }
    return {};
  }

 private:
  /// "TCP: inuse 21 orphan 3 tw 4 alloc 41 mem 5", "TCP6: inuse 22".
  static std::uint64_t sockets_in(OptionalFile& file, const Tick& tick, SeriesWriter& out) {
    std::uint64_t sockets = 0;
    auto rest = file.read(tick, out, "how many sockets there are").value_or("");
    while (auto line = next_line(rest)) {
      const auto name = next_word(*line);
      if (name != "TCP:" && name != "TCP6:") continue;
      for (auto key = next_word(*line); !key.empty(); key = next_word(*line)) {
        const auto count = parse_number<std::uint64_t>(next_word(*line)).value_or(0);
        if (key == "inuse" || key == "tw") sockets += count;
      }
    }
    return sockets;
  }

  /// Read piece by piece: the whole may be megabytes.
  Result<void> add_file(const std::string& path, SeriesWriter& out) {
    const auto file = open_to_read(path);
    if (!file) return file.error();
    std::size_t kept = 0;  // of a line whose end has not come yet
    bool is_head = true;
    for (;;) {
      const auto got = ::read(file->get(), buffer_.data() + kept, buffer_.size() - kept);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return failed(cat("cannot read ", path, ": ", errno_text(errno)));
      const std::string_view text(buffer_.data(), kept + static_cast<std::size_t>(got));
      const auto end = got == 0 ? text.size() : text.rfind('\n') + 1;  // 0: there is none
      for (auto rest = text.substr(0, end); const auto line = next_line(rest); is_head = false) {
        if (!is_head) add_line(path, *line, out);
      }
      if (got == 0 && is_head) return failed(cat(path, " line 1: expected names of columns"));
      if (got == 0) return {};
      kept = text.size() - end;
      if (kept == buffer_.size()) kept = 0;  // no line of the kernel's is that long
      std::memmove(buffer_.data(), text.data() + end, kept);
    }
  }

  void add_line(const std::string& path, std::string_view line, SeriesWriter& out) {
    auto rest = line;
    for (int i = 0; i < 3; ++i) next_word(rest);
    const auto state = parse_number<std::uint8_t>(next_word(rest), 16);
    const auto queues = next_word(rest);
    const auto colon = std::min(queues.find(':'), queues.size());
    const auto to_send = parse_number<std::uint32_t>(queues.substr(0, colon), 16);
    const auto received =
        parse_number<std::uint32_t>(queues.substr(std::min(colon + 1, queues.size())), 16);
    if (!state || *state == 0 || *state > kStatesEnd) {
      leave_out(path, line, "the line of a socket", 0, kStatesEnd, out);
    } else {
      ++numbers_[*state - 1];
    }
    if (to_send && received) {
      numbers_[kReceived] += *received;
      numbers_[kToSend] += *to_send;
    } else {
      leave_out(path, queues, "two queues", kReceived, std::size(kNames), out);
    }
  }

  /// Where one socket is unknown, the number of those in its state is.
  void leave_out(const std::string& path, std::string_view text, std::string_view expected,
                 std::size_t first, std::size_t end, SeriesWriter& out) {
    for (auto i = first; i < end; ++i) is_unknown_.set(i);
    out.complaints().garbled(path, text, expected, {kStates.name});
  }

  const std::array<std::string, 2> paths_;
  OptionalFile sockstat_;
  OptionalFile sockstat6_;
  std::array<std::uint64_t, std::size(kNames)> numbers_{};
  std::bitset<std::size(kNames)> is_unknown_;
  std::array<char, 16 * 1024> buffer_{};
};

}  // namespace

CollectorType tcpstat_collector() {
  return {.make = make_collector<Tcpstat>, .costly = "the kernel lists all TCP sockets"};
}

}  // namespace msp::collectors
