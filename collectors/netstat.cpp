// netstat: counters of IP, ICMP, TCP and UDP from /proc/net/netstat and /proc/net/snmp, in which a
// line of names stands before each line of values (proc(5)):
//   Udp: InDatagrams NoPorts InErrors OutDatagrams ...
//   Udp: 93 0 0 94 ...
// and of their IPv6 halves from /proc/net/snmp6, which a host without IPv6 does not have:
//   Udp6InDatagrams                 	71
// Of several hundred fields the metrics are those that node_exporter sends where it is not told
// otherwise.
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/named_fields.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc metric(std::string_view name, std::string_view help, std::string_view source) {
  return {name, help, source, MetricType::untyped};
}
#define MSP_NETSTAT(protocol, field, file) \
  metric("node_netstat_" protocol "_" field, "Statistic " protocol field ".", "/proc/net/" file)
// clang-format off
constexpr MetricDesc kMetrics[] = {
    MSP_NETSTAT("Icmp6", "InErrors", "snmp6"),
    MSP_NETSTAT("Icmp6", "InMsgs", "snmp6"),
    MSP_NETSTAT("Icmp6", "OutMsgs", "snmp6"),
    MSP_NETSTAT("Icmp", "InErrors", "snmp"),
    MSP_NETSTAT("Icmp", "InMsgs", "snmp"),
    MSP_NETSTAT("Icmp", "OutMsgs", "snmp"),
    MSP_NETSTAT("Ip6", "InOctets", "snmp6"),
    MSP_NETSTAT("Ip6", "OutOctets", "snmp6"),
    MSP_NETSTAT("IpExt", "InOctets", "netstat"),
    MSP_NETSTAT("IpExt", "OutOctets", "netstat"),
    MSP_NETSTAT("Ip", "Forwarding", "snmp"),
    MSP_NETSTAT("TcpExt", "ListenDrops", "netstat"),
    MSP_NETSTAT("TcpExt", "ListenOverflows", "netstat"),
    MSP_NETSTAT("TcpExt", "SyncookiesFailed", "netstat"),
    MSP_NETSTAT("TcpExt", "SyncookiesRecv", "netstat"),
    MSP_NETSTAT("TcpExt", "SyncookiesSent", "netstat"),
    MSP_NETSTAT("TcpExt", "TCPOFOQueue", "netstat"),
    MSP_NETSTAT("TcpExt", "TCPRcvQDrop", "netstat"),
    MSP_NETSTAT("TcpExt", "TCPSynRetrans", "netstat"),
    MSP_NETSTAT("TcpExt", "TCPTimeouts", "netstat"),
    MSP_NETSTAT("Tcp", "ActiveOpens", "snmp"),
    MSP_NETSTAT("Tcp", "CurrEstab", "snmp"),
    MSP_NETSTAT("Tcp", "InErrs", "snmp"),
    MSP_NETSTAT("Tcp", "InSegs", "snmp"),
    MSP_NETSTAT("Tcp", "OutRsts", "snmp"),
    MSP_NETSTAT("Tcp", "OutSegs", "snmp"),
    MSP_NETSTAT("Tcp", "PassiveOpens", "snmp"),
    MSP_NETSTAT("Tcp", "RetransSegs", "snmp"),
    MSP_NETSTAT("Udp6", "InDatagrams", "snmp6"),
    MSP_NETSTAT("Udp6", "InErrors", "snmp6"),
    MSP_NETSTAT("Udp6", "NoPorts", "snmp6"),
    MSP_NETSTAT("Udp6", "OutDatagrams", "snmp6"),
    MSP_NETSTAT("Udp6", "RcvbufErrors", "snmp6"),
    MSP_NETSTAT("Udp6", "SndbufErrors", "snmp6"),
    MSP_NETSTAT("UdpLite6", "InErrors", "snmp6"),
    MSP_NETSTAT("UdpLite", "InErrors", "snmp"),
    MSP_NETSTAT("Udp", "InDatagrams", "snmp"),
    MSP_NETSTAT("Udp", "InErrors", "snmp"),
    MSP_NETSTAT("Udp", "NoPorts", "snmp"),
    MSP_NETSTAT("Udp", "OutDatagrams", "snmp"),
    MSP_NETSTAT("Udp", "RcvbufErrors", "snmp"),
    MSP_NETSTAT("Udp", "SndbufErrors", "snmp"),
};
// clang-format on
#undef MSP_NETSTAT
constexpr FieldTable kTable{"node_netstat_", kMetrics};
static_assert(kTable.is_sorted());

/// "Udp: InDatagrams ..." up to its colon; empty where the line has none, or a part that no
/// protocol's name has.
std::string_view protocol_of(std::string_view line) {
  const auto name = line.substr(0, line.find(": "));
  return name.size() < line.size() && is_printable(name) ? name : std::string_view{};
}

/// A line of names, and what its columns are, so that the hundreds of names are looked up once only:
/// they stay the same as long as the kernel runs.
struct Header {
  struct Column {
    std::size_t index;
    const MetricDesc* metric;
    std::string_view word = {};  // of this tick
  };
  std::string line;
  std::size_t protocol_bytes;  // at its front; 0: the line is none of names
  std::size_t columns = 0;
  std::vector<Column> wanted = {};  // those that a metric is for, in their order

  /// Finds the words of the wanted columns. False where there are not as many as names.
  bool read(std::string_view values) {
    std::size_t index = 0;
    auto next = wanted.begin();
    for (auto word = next_word(values); !word.empty(); word = next_word(values)) {
      if (next != wanted.end() && next->index == index) next++->word = word;
      ++index;
    }
    return index == columns;
  }
};

class Netstat : public Collector {
 public:
  explicit Netstat(const CollectorContext& context)
      : pairs_{{context, context.paths.proc("net/netstat"), KeptFile::End::short_read},
               {context, context.paths.proc("net/snmp"), KeptFile::End::short_read}},
        ipv6_(context, context.paths.proc("net/snmp6"), KeptFile::End::short_read) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    NamedFields fields(kTable, out);
    for (std::size_t i = 0; i < std::size(pairs_); ++i) {
      if (const auto content = pairs_[i].read(tick, out, "what it counts")) {
        add_pairs(pairs_[i].path(), *content, headers_[i], fields, out.complaints());
      }
    }
    if (const auto content = ipv6_.read(tick, out, "what it counts")) add_ipv6(*content, fields);
    if (out.samples() > 0) return {};
    const auto& path = pairs_[1].path();
    if (pairs_[0].is_missing() && pairs_[1].is_missing())
      return no_data(cat(path, ": no such file"));
    for (const auto& file : pairs_) {
      if (!file.failure().empty()) return failed(file.failure());
    }
    return failed(cat(path, ": no line of names and values"));
  }

 private:
  static void add_pairs(const std::string& path, std::string_view rest,
                        std::vector<Header>& headers, NamedFields& fields,
                        metrics::Complaints& complaints) {
    std::size_t pair = 0;
    auto names = next_line(rest);
    while (names) {
      if (pair == headers.size()) headers.emplace_back();
      auto& header = headers[pair++];
      if (header.line != *names) header = read_header(*names);
      const auto protocol = names->substr(0, header.protocol_bytes);
      auto values = next_line(rest);
      const bool is_pair = values && !protocol.empty() && protocol_of(*values) == protocol;
      if (is_pair) values->remove_prefix(protocol.size() + 1);
      if (!is_pair || !header.read(*values)) {
        complaints.garbled(path, *names, "a line of names before one of values", {"a line"});
        // A pair that does not fit together is passed over, a stray line alone.
        names = is_pair ? next_line(rest) : values;
        continue;
      }
      for (const auto& column : header.wanted) fields.add(path, *column.metric, column.word);
      names = next_line(rest);
    }
  }

  static Header read_header(std::string_view line) {
    const auto protocol = protocol_of(line);
    Header header{std::string(line), protocol.size()};
    if (protocol.empty()) return header;
    line.remove_prefix(protocol.size() + 1);
    for (auto name = next_word(line); !name.empty(); name = next_word(line)) {
      const auto* const metric = kTable.find(protocol, name);
      if (metric != nullptr) header.wanted.push_back({header.columns, metric});
      ++header.columns;
    }
    return header;
  }

  void add_ipv6(std::string_view rest, NamedFields& fields) {
    for (std::size_t place = 0; auto line = next_line(rest); ++place) {
      const auto name = next_word(*line);
      const auto six = name.find('6');
      if (six == name.npos) continue;
      const auto* const metric =
          ipv6_fields_.at(place, kTable, name.substr(0, six + 1), name.substr(six + 1));
      if (metric != nullptr) fields.add(ipv6_.path(), *metric, next_word(*line));
    }
  }

  OptionalFile pairs_[2];
  std::vector<Header> headers_[2];  // of these, in the order of their pairs
  OptionalFile ipv6_;
  KnownFields ipv6_fields_;
};

}  // namespace

CollectorType netstat_collector() {
  return {make_collector<Netstat>};
}

}  // namespace msp::collectors
