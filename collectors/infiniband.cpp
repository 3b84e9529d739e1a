// infiniband: the state and the counters of each port of an InfiniBand or RoCE adapter, from
// /sys/class/infiniband/DEVICE/ports/PORT (Documentation/ABI/stable/sysfs-class-infiniband), a value
// per file:
//   state 4: ACTIVE    rate 40 Gb/sec (4X QDR)    counters/port_rcv_data 1884894436
// counters_ext has the 64-bit counters of kernels before 4.5. Data is counted per lane, of which a
// port has four. A counter that the adapter does not have says "N/A (no PMA)".
#include <array>
#include <cmath>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
  double unit;
};
#define MSP_IB(file, name, unit, help)                                                   \
  {                                                                                      \
    file,                                                                                \
        {"node_infiniband_" name, help, "/sys/class/infiniband/DEVICE/ports/PORT/" file, \
         MetricType::counter, "device,port"},                                            \
        unit                                                                             \
  }
constexpr Value kCounters[] = {
    MSP_IB("counters_ext/port_multicast_rcv_packets", "legacy_multicast_packets_received_total", 1,
           "Number of multicast packets received"),
    MSP_IB("counters_ext/port_multicast_xmit_packets", "legacy_multicast_packets_transmitted_total",
           1, "Number of multicast packets transmitted"),
    MSP_IB("counters_ext/port_rcv_data_64", "legacy_data_received_bytes_total", 4,
           "Number of data octets received on all links"),
    MSP_IB("counters_ext/port_rcv_packets_64", "legacy_packets_received_total", 1,
           "Number of data packets received on all links"),
    MSP_IB("counters_ext/port_unicast_rcv_packets", "legacy_unicast_packets_received_total", 1,
           "Number of unicast packets received"),
    MSP_IB("counters_ext/port_unicast_xmit_packets", "legacy_unicast_packets_transmitted_total", 1,
           "Number of unicast packets transmitted"),
    MSP_IB("counters_ext/port_xmit_data_64", "legacy_data_transmitted_bytes_total", 4,
           "Number of data octets transmitted on all links"),
    MSP_IB("counters_ext/port_xmit_packets_64", "legacy_packets_transmitted_total", 1,
           "Number of data packets received on all links"),
    MSP_IB("counters/excessive_buffer_overrun_errors", "excessive_buffer_overrun_errors_total", 1,
           "Number of times that OverrunErrors consecutive flow control update periods "
           "occurred, each having at least one overrun error."),
    MSP_IB("counters/link_downed", "link_downed_total", 1,
           "Number of times the link failed to recover from an error state and went down"),
    MSP_IB("counters/link_error_recovery", "link_error_recovery_total", 1,
           "Number of times the link successfully recovered from an error state"),
    MSP_IB("counters/local_link_integrity_errors", "local_link_integrity_errors_total", 1,
           "Number of times that the count of local physical errors exceeded the threshold "
           "specified by LocalPhyErrors."),
    MSP_IB("counters/multicast_rcv_packets", "multicast_packets_received_total", 1,
           "Number of multicast packets received (including errors)"),
    MSP_IB("counters/multicast_xmit_packets", "multicast_packets_transmitted_total", 1,
           "Number of multicast packets transmitted (including errors)"),
    MSP_IB("counters/port_rcv_constraint_errors", "port_constraint_errors_received_total", 1,
           "Number of packets received on the switch physical port that are discarded"),
    MSP_IB("counters/port_xmit_constraint_errors", "port_constraint_errors_transmitted_total", 1,
           "Number of packets not transmitted from the switch physical port"),
    MSP_IB("counters/port_rcv_data", "port_data_received_bytes_total", 4,
           "Number of data octets received on all links"),
    MSP_IB("counters/port_xmit_data", "port_data_transmitted_bytes_total", 4,
           "Number of data octets transmitted on all links"),
    MSP_IB("counters/port_rcv_discards", "port_discards_received_total", 1,
           "Number of inbound packets discarded by the port because the port is down or "
           "congested"),
    MSP_IB("counters/port_xmit_discards", "port_discards_transmitted_total", 1,
           "Number of outbound packets discarded by the port because the port is down or "
           "congested"),
    MSP_IB("counters/port_rcv_errors", "port_errors_received_total", 1,
           "Number of packets containing an error that were received on this port"),
    MSP_IB("counters/port_rcv_packets", "port_packets_received_total", 1,
           "Number of packets received on all VLs by this port (including errors)"),
    MSP_IB("counters/port_xmit_packets", "port_packets_transmitted_total", 1,
           "Number of packets transmitted on all VLs from this port (including errors)"),
    MSP_IB("counters/port_xmit_wait", "port_transmit_wait_total", 1,
           "Number of ticks during which the port had data to transmit but no data was "
           "sent during the entire tick"),
    MSP_IB("counters/unicast_rcv_packets", "unicast_packets_received_total", 1,
           "Number of unicast packets received (including errors)"),
    MSP_IB("counters/unicast_xmit_packets", "unicast_packets_transmitted_total", 1,
           "Number of unicast packets transmitted (including errors)"),
    MSP_IB("counters/port_rcv_remote_physical_errors", "port_receive_remote_physical_errors_total",
           1,
           "Number of packets marked with the EBP (End of Bad Packet) delimiter received "
           "on the port."),
    MSP_IB("counters/port_rcv_switch_relay_errors", "port_receive_switch_relay_errors_total", 1,
           "Number of packets that could not be forwarded by the switch."),
    MSP_IB("counters/symbol_error", "symbol_error_total", 1,
           "Number of minor link errors detected on one or more physical lanes."),
    MSP_IB("counters/VL15_dropped", "vl15_dropped_total", 1,
           "Number of incoming VL15 packets dropped due to resource limitations."),
    MSP_IB("hw_counters/duplicate_request", "duplicate_requests_packets_total", 1,
           "The number of received packets. A duplicate request is a request that had been "
           "previously executed."),
    MSP_IB("hw_counters/implied_nak_seq_err", "implied_nak_seq_errors_total", 1,
           "The number of time the requested decided an ACK. with a PSN larger than the "
           "expected PSN for an RDMA read or response."),
    MSP_IB("hw_counters/local_ack_timeout_err", "local_ack_timeout_errors_total", 1,
           "The number of times QP's ack timer expired for RC, XRC, DCT QPs at the sender "
           "side. The QP retry limit was not exceed, therefore it is still recoverable "
           "error."),
    MSP_IB("hw_counters/np_cnp_sent", "np_cnp_packets_sent_total", 1,
           "The number of CNP packets sent by the Notification Point when it noticed "
           "congestion experienced in the RoCEv2 IP header (ECN bits). The counters was "
           "added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/np_ecn_marked_roce_packets", "np_ecn_marked_roce_packets_received_total", 1,
           "The number of RoCEv2 packets received by the notification point which were "
           "marked for experiencing the congestion (ECN bits where '11' on the ingress "
           "RoCE traffic) . The counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/out_of_buffer", "out_of_buffer_drops_total", 1,
           "The number of drops occurred due to lack of WQE for the associated QPs."),
    MSP_IB("hw_counters/out_of_sequence", "out_of_sequence_packets_received_total", 1,
           "The number of out of sequence packets received."),
    MSP_IB("hw_counters/packet_seq_err", "packet_sequence_errors_total", 1,
           "The number of received NAK sequence error packets. The QP retry limit was not "
           "exceeded."),
    MSP_IB("hw_counters/req_cqe_error", "req_cqes_errors_total", 1,
           "The number of times requester detected CQEs completed with errors. The "
           "counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/req_cqe_flush_error", "req_cqes_flush_errors_total", 1,
           "The number of times requester detected CQEs completed with flushed errors. The "
           "counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/req_remote_access_errors", "req_remote_access_errors_total", 1,
           "The number of times requester detected remote access errors. The counters was "
           "added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/req_remote_invalid_request", "req_remote_invalid_request_errors_total", 1,
           "The number of times requester detected remote invalid request errors. The "
           "counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/resp_cqe_error", "resp_cqes_errors_total", 1,
           "The number of times responder detected CQEs completed with errors. The "
           "counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/resp_cqe_flush_error", "resp_cqes_flush_errors_total", 1,
           "The number of times responder detected CQEs completed with flushed errors. The "
           "counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/resp_local_length_error", "resp_local_length_errors_total", 1,
           "The number of times responder detected local length errors. The counters was "
           "added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/resp_remote_access_errors", "resp_remote_access_errors_total", 1,
           "The number of times responder detected remote access errors. The counters was "
           "added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/rnr_nak_retry_err", "rnr_nak_retry_packets_received_total", 1,
           "The number of received RNR NAK packets. The QP retry limit was not exceeded."),
    MSP_IB("hw_counters/roce_adp_retrans", "roce_adp_retransmits_total", 1,
           "The number of adaptive retransmissions for RoCE traffic. The counter was added "
           "in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"),
    MSP_IB("hw_counters/roce_adp_retrans_to", "roce_adp_retransmits_timeout_total", 1,
           "The number of times RoCE traffic reached timeout due to adaptive "
           "retransmission. The counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel "
           "v5.6.0"),
    MSP_IB("hw_counters/roce_slow_restart", "roce_slow_restart_used_total", 1,
           "The number of times RoCE slow restart was used. The counter was added in "
           "MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"),
    MSP_IB("hw_counters/roce_slow_restart_cnps", "roce_slow_restart_cnps_total", 1,
           "The number of times RoCE slow restart generated CNP packets. The counter was "
           "added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"),
    MSP_IB("hw_counters/roce_slow_restart_trans", "roce_slow_restart_total", 1,
           "The number of times RoCE slow restart changed state to slow restart. The "
           "counter was added in MLNX_OFED rev 5.0-1.0.0.0 and kernel v5.6.0"),
    MSP_IB("hw_counters/rp_cnp_handled", "rp_cnp_packets_handled_total", 1,
           "The number of CNP packets handled by the Reaction Point HCA to throttle the "
           "transmission rate. The counters was added in MLNX_OFED 4.1"),
    MSP_IB("hw_counters/rp_cnp_ignored", "rp_cnp_ignored_packets_received_total", 1,
           "The number of CNP packets received and ignored by the Reaction Point HCA. This "
           "counter should not raise if RoCE Congestion Control was enabled in the "
           "network. If this counter raise, verify that ECN was enabled on the adapter."),
    MSP_IB("hw_counters/rx_atomic_requests", "rx_atomic_requests_total", 1,
           "The number of received ATOMIC request for the associated QPs."),
    MSP_IB("hw_counters/rx_dct_connect", "rx_dct_connect_requests_total", 1,
           "The number of received connection requests for the associated DCTs."),
    MSP_IB("hw_counters/rx_read_requests", "rx_read_requests_total", 1,
           "The number of received READ requests for the associated QPs."),
    MSP_IB("hw_counters/rx_write_requests", "rx_write_requests_total", 1,
           "The number of received WRITE requests for the associated QPs."),
    MSP_IB("hw_counters/rx_icrc_encapsulated", "rx_icrc_encapsulated_errors_total", 1,
           "The number of RoCE packets with ICRC errors. This counter was added in "
           "MLNX_OFED 4.4 and kernel 4.19"),
};
#undef MSP_IB
#define MSP_IB(file, name, help)                                                    \
  {                                                                                 \
    "node_infiniband_" name, help, "/sys/class/infiniband/DEVICE/ports/PORT/" file, \
        MetricType::gauge, "device,port"                                            \
  }
constexpr MetricDesc kState MSP_IB("state", "state_id",
                                   "State of the InfiniBand port (0: no change, 1: down, 2: init, "
                                   "3: armed, 4: active, 5: act defer)");
constexpr MetricDesc kPhysical
    MSP_IB("phys_state", "physical_state_id",
           "Physical state of the InfiniBand port (0: no change, 1: sleep, 2: polling, 3: disable, "
           "4: shift, 5: link up, 6: link error recover, 7: phytest)");
constexpr MetricDesc kRate MSP_IB("rate", "rate_bytes_per_second", "Maximum signal transfer rate");
constexpr MetricDesc kLifespan
    MSP_IB("hw_counters/lifespan", "lifespan_seconds",
           "The maximum period in ms which defines the aging of the counter reads. Two consecutive "
           "reads within this period might return the same values.");
#undef MSP_IB
constexpr MetricDesc kInfo{
    "node_infiniband_info",
    "Non-numeric data from /sys/class/infiniband/<device>, value is always 1.",
    "/sys/class/infiniband/DEVICE/board_id, /sys/class/infiniband/DEVICE/fw_ver, "
    "/sys/class/infiniband/DEVICE/hca_type",
    MetricType::gauge, "device,board_id,firmware_version,hca_type"};

constexpr double kFirstEnd = 1e6;  // no rate in Gbit/s, and no state, is as high

class Infiniband : public Collector {
 public:
  explicit Infiniband(const CollectorContext& context)
      : folder_(context.paths.sys("class/infiniband")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder devices(folder_);
    if (!devices) return no_data(cat(folder_, ": no such folder"));
    devices.list(names_);
    for (const auto& name : names_) {
      const SysFolder device(devices, name.c_str());
      if (!device) continue;
      auto& [board, firmware, type] = texts_;
      read_label(device, "board_id", kInfo, board, out);
      read_label(device, "fw_ver", kInfo, firmware, out);
      read_label(device, "hca_type", kInfo, type, out);
      out.add(kInfo, {name, board, firmware, type}, 1);
      const SysFolder ports(device, "ports");
      if (!ports) continue;
      ports.list(ports_);
      for (const auto& number : ports_) {
        const SysFolder port(ports, number.c_str());
        if (port && parse_number<std::uint32_t>(number)) add_port(port, name, number, out);
      }
    }
    return {};
  }

 private:
  static void add_port(const SysFolder& port, const std::string& device, const std::string& number,
                       SeriesWriter& out) {
    // "4: ACTIVE"
    add_first(port, "state", kState, {device, number}, ':', 1, out);
    add_first(port, "phys_state", kPhysical, {device, number}, ':', 1, out);
    // "40 Gb/sec (4X QDR)", "2.5 Gb/sec (1X SDR)"
    add_first(port, "rate", kRate, {device, number}, ' ', 125'000'000, out);
    for (const auto& counter : kCounters) {
      const auto content = port.read(counter.file);
      const auto value = parse_number<std::uint64_t>(content.text());
      if (content.error != 0) {
        complain(port, counter.file, content.error, counter.metric.name, out);
      } else if (value) {
        out.add(counter.metric, {device, number}, static_cast<double>(*value) * counter.unit);
      } else if (!content.text().starts_with("N/A")) {
        out.complaints().garbled(port.path(counter.file), content.text(), "a count",
                                 {counter.metric.name});
      }
    }
    // In thousandths, of which node_exporter sends whole seconds.
    const auto lifespan = read_number(port, "hw_counters/lifespan", kLifespan, out);
    if (lifespan) out.add(kLifespan, {device, number}, std::floor(*lifespan / 1000));
  }

  /// The number before `end`.
  static void add_first(const SysFolder& port, const char* file, const MetricDesc& metric,
                        SeriesWriter::LabelValues labels, char end, double unit,
                        SeriesWriter& out) {
    const auto content = port.read(file);
    if (content.error != 0) return complain(port, file, content.error, metric.name, out);
    const auto text = content.text();
    const auto at = text.find(end);
    const auto number = at == text.npos ? std::nullopt : parse_amount(text.substr(0, at));
    if (number && *number < kFirstEnd) {
      out.add(metric, labels, std::floor(*number * unit));
    } else {
      out.complaints().garbled(port.path(file), text, "a number and its name", {metric.name});
    }
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::vector<std::string> ports_;
  std::array<std::string, 3> texts_;  // of one device after the other
};

}  // namespace

CollectorType infiniband_collector() {
  return {.make = make_collector<Infiniband>, .costly = "the adapter is asked for each counter"};
}

}  // namespace msp::collectors
