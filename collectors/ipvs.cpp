// ipvs: the connections and traffic of the kernel's load balancer, from /proc/net/ip_vs_stats, in
// which all numbers are hexadecimal:
//      Total Incoming Outgoing         Incoming         Outgoing
//      Conns  Packets  Packets            Bytes            Bytes
//    16AA370 E33656E5        0     51D8C8883AB3                0
// and of each of its real servers, from /proc/net/ip_vs, in which only the addresses are:
//   TCP  C0A80016:0CEA wlc
//     -> C0A85216:0CEA      Tunnel  100    248        2
//   FWM  10001000 wlc
// A host without IPVS does not have the files.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <charconv>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

#define MSP_IPVS(name, help) \
  { "node_ipvs_" name, help, "/proc/net/ip_vs_stats", MetricType::counter }
constexpr MetricDesc kTotals[] = {
    MSP_IPVS("connections_total", "The total number of connections made."),
    MSP_IPVS("incoming_packets_total", "The total number of incoming packets."),
    MSP_IPVS("outgoing_packets_total", "The total number of outgoing packets."),
    MSP_IPVS("incoming_bytes_total", "The total amount of incoming data."),
    MSP_IPVS("outgoing_bytes_total", "The total amount of outgoing data."),
};
#undef MSP_IPVS
#define MSP_BACKEND(name, what)                                                     \
  {                                                                                 \
    "node_ipvs_backend_" name, "The current " what " by local and remote address.", \
        "/proc/net/ip_vs", MetricType::gauge,                                       \
        "local_address,local_port,remote_address,remote_port,proto,local_mark"      \
  }
// In the order of the columns.
constexpr MetricDesc kBackend[] = {MSP_BACKEND("weight", "backend weight"),
                                   MSP_BACKEND("connections_active", "active connections"),
                                   MSP_BACKEND("connections_inactive", "inactive connections")};
#undef MSP_BACKEND

/// "C0A80016:0CEA" or "[2620:0000:0000:0000:0000:0000:0000:0001]:0050", as texts.
struct Endpoint {
  char address[INET6_ADDRSTRLEN] = "";
  char port[8] = "0";

  /// False where it is none.
  bool parse(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == text.npos) return false;
    const auto number = parse_number<std::uint16_t>(text.substr(colon + 1), 16);
    if (!number) return false;
    *std::to_chars(port, port + sizeof port - 1, *number).ptr = '\0';
    auto host = text.substr(0, colon);
    if (!host.starts_with('[')) {
      const auto bits = parse_number<std::uint32_t>(host, 16);
      const in_addr raw{htonl(bits.value_or(0))};
      return host.size() == 8 && bits && ::inet_ntop(AF_INET, &raw, address, sizeof address);
    }
    if (!host.ends_with(']')) return false;
    const std::string inner(host.substr(1, host.size() - 2));
    in6_addr raw{};
    return ::inet_pton(AF_INET6, inner.c_str(), &raw) == 1 &&
           ::inet_ntop(AF_INET6, &raw, address, sizeof address);
  }
};

class Ipvs : public Collector {
 public:
  explicit Ipvs(const CollectorContext& context)
      : stats_(context.files.open(context.paths.proc("net/ip_vs_stats"))),
        table_(context, context.paths.proc("net/ip_vs")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = stats_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    next_line(rest);
    next_line(rest);
    const auto totals = next_line(rest).value_or("");
    if (words_in(totals) != std::size(kTotals)) {
      return failed(cat(stats_->path(), " line 3: expected 5 numbers", got(totals)));
    }
    const CountersLine<std::size(kTotals)> line(
        totals,
        [&](std::size_t column, std::string_view word) {
          out.complaints().garbled(stats_->path(), word, "a hexadecimal count",
                                   {kTotals[column].name});
        },
        16);
    for (std::size_t i = 0; i < line.found; ++i) {
      if (line.is_good[i]) out.add(kTotals[i], static_cast<double>(line.values[i]));
    }
    if (const auto table = table_.read(tick, out, "its real servers")) add_backends(*table, out);
    return {};
  }

 private:
  /// What the lines of real servers below a service's line have in common.
  struct Service {
    std::string_view protocol;  // empty: one that node_exporter does not know
    std::string_view mark;      // "10001000" of FWM, which has no address
    Endpoint local;
  };

  void add_backends(std::string_view rest, SeriesWriter& out) {
    Service service;
    backends_.begin_tick();
    while (auto line = next_line(rest)) {
      const auto whole = *line;
      const auto first = next_word(*line);
      const auto second = next_word(*line);
      if (first.empty() || first == "IP" || first == "Prot" || second == "RemoteAddress:Port") {
        continue;
      }
      if (first == "->") {
        if (!service.protocol.empty()) add_backend(whole, second, *line, service, out);
        continue;
      }
      if (!is_printable(first)) {
        garbled(whole, "a line of the table", out);
        continue;
      }
      service = {};
      if (first == "FWM") {
        service.mark = second;
        service.protocol = first;
      } else if (first == "TCP" || first == "UDP") {
        const bool is_good = service.local.parse(second);
        if (is_good) service.protocol = first;
        if (!is_good) garbled(whole, "the line of a service", out);
      }
    }
    backends_.end_tick();
  }

  void add_backend(std::string_view line, std::string_view address, std::string_view rest,
                   const Service& service, SeriesWriter& out) {
    Endpoint remote;
    next_word(rest);  // how packets are forwarded
    if (!remote.parse(address) || words_in(rest) < std::size(kBackend)) {
      return garbled(line, "the line of a real server", out);
    }
    key_.clear();
    for (const auto part : {service.protocol, service.mark, std::string_view(service.local.address),
                            std::string_view(service.local.port), address}) {
      key_ += part;
      key_ += ' ';
    }
    if (backends_.next(key_, NamedDevice::make) == nullptr) {
      return out.complaints().repeated(table_.path(), address);
    }
    for (const auto& column : kBackend) {
      const auto word = next_word(rest);
      if (const auto number = parse_number<std::uint64_t>(word)) {
        out.add(column,
                {service.local.address, service.local.port, remote.address, remote.port,
                 service.protocol, service.mark},
                static_cast<double>(*number));
      } else {
        out.complaints().garbled(table_.path(), word, "a count", {column.name, {address}});
      }
    }
  }

  void garbled(std::string_view line, std::string_view expected, SeriesWriter& out) const {
    out.complaints().garbled(table_.path(), line, expected, {"a line"});
  }

  std::shared_ptr<KeptFile> stats_;
  OptionalFile table_;
  DeviceList<NamedDevice> backends_;
  std::string key_;  // of one line after the other
};

}  // namespace

CollectorType ipvs_collector() {
  return {make_collector<Ipvs>};
}

}  // namespace msp::collectors
