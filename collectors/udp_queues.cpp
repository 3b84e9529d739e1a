// udp_queues: bytes that wait in the queues of all UDP sockets, the sums of the column
// "tx_queue:rx_queue" of /proc/net/udp and /proc/net/udp6 (proc(5)), hexadecimal:
//    sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
//   349: 0100007F:0143 00000000:0000 07 00000000:00000D80 00:00000000 00000000     0        0 14523 2 ffff8e01 0
// A host without IPv6 does not have the second one.
#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kQueues{"node_udp_queues",
                             "Number of allocated memory in the kernel for UDP datagrams in bytes.",
                             "/proc/net/udp, /proc/net/udp6", MetricType::gauge, "queue,ip"};
constexpr std::size_t kColumn = 4;
constexpr std::string_view kNames[] = {"tx", "rx"};  // as the column has them

class UdpQueues : public Collector {
 public:
  explicit UdpQueues(const CollectorContext& context)
      : v4_(context, context.paths.proc("net/udp")), v6_(context, context.paths.proc("net/udp6")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = v4_.read(tick, out, "node_udp_queues of v4");
    if (content) add_sums(v4_.path(), "v4", *content, out);
    const auto content6 = v6_.read(tick, out, "node_udp_queues of v6");
    if (content6) add_sums(v6_.path(), "v6", *content6, out);
    if (out.samples() > 0) return {};
    if (v4_.is_missing() && v6_.is_missing()) return no_data(cat(v4_.path(), ": no such file"));
    for (const auto* file : {&v4_, &v6_}) {
      if (!file->failure().empty()) return failed(file->failure());
    }
    return failed(cat(v4_.path(), ": no table of sockets", got(content.value_or(""))));
  }

 private:
  static void add_sums(const std::string& path, std::string_view ip, std::string_view rest,
                       SeriesWriter& out) {
    const auto names = next_line(rest);
    const bool has_names = names && names->find("tx_queue") != names->npos;
    if (!has_names) {
      out.complaints().garbled(path, names.value_or(""), "a line of column names", {"a line"});
    }
    std::uint64_t sums[2] = {};
    bool has_socket = false;
    bool is_garbled[2] = {};  // then the sum is not known
    while (auto line = next_line(rest)) {
      const auto word = word_at(*line, kColumn);
      const auto colon = word.find(':');
      if (colon == word.npos) {
        out.complaints().garbled(path, *line, "the line of a socket", {"a line"});
        continue;
      }
      has_socket = true;
      const std::string_view bytes[] = {word.substr(0, colon), word.substr(colon + 1)};
      for (const auto queue : {0, 1}) {
        if (const auto number = parse_number<std::uint64_t>(bytes[queue], 16)) {
          sums[queue] += *number;
        } else {
          is_garbled[queue] = true;
          out.complaints().garbled(path, bytes[queue], "a hexadecimal count",
                                   {kQueues.name, {kNames[queue], " ", ip}});
        }
      }
    }
    if (!has_names && !has_socket) return;
    for (const auto queue : {0, 1}) {
      if (is_garbled[queue]) continue;
      out.add(kQueues, {kNames[queue], ip}, static_cast<double>(sums[queue]));
    }
  }

  OptionalFile v4_;
  OptionalFile v6_;
};

}  // namespace

CollectorType udp_queues_collector() {
  return {.make = make_collector<UdpQueues>, .costly = "the kernel lists all UDP sockets"};
}

}  // namespace msp::collectors
