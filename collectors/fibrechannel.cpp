// fibrechannel: what each Fibre Channel host adapter is connected to, from /sys/class/fc_host/hostN,
// and what it has counted, from hostN/statistics, where all numbers are hexadecimal
// (drivers/scsi/scsi_transport_fc.c):
//   host1/port_name 0x1000e0071bce95f2    host1/statistics/tx_frames 0x3
// A counter that the adapter does not have is 0xffffffffffffffff.
#include <algorithm>
#include <array>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

struct Value {
  const char* file;
  MetricDesc metric;
};
#define MSP_FC(file, name, help)                                                              \
  {                                                                                           \
    "statistics/" file, {                                                                     \
      "node_fibrechannel_" name "_total", help, "/sys/class/fc_host/DEVICE/statistics/" file, \
          MetricType::counter, "fc_host"                                                      \
    }                                                                                         \
  }
constexpr Value kValues[] = {
    MSP_FC("dumped_frames", "dumped_frames", "Number of dumped frames"),
    MSP_FC("error_frames", "error_frames", "Number of errors in frames"),
    MSP_FC("invalid_crc_count", "invalid_crc", "Invalid Cyclic Redundancy Check count"),
    MSP_FC("rx_frames", "rx_frames", "Number of frames received"),
    MSP_FC("rx_words", "rx_words", "Number of words received by host port"),
    MSP_FC("tx_frames", "tx_frames", "Number of frames transmitted by host port"),
    MSP_FC("tx_words", "tx_words", "Number of words transmitted by host port"),
    MSP_FC("seconds_since_last_reset", "seconds_since_last_reset",
           "Number of seconds since last host port reset"),
    MSP_FC("invalid_tx_word_count", "invalid_tx_words",
           "Number of invalid words transmitted by host port"),
    MSP_FC("link_failure_count", "link_failure", "Number of times the host port link has failed"),
    MSP_FC("loss_of_sync_count", "loss_of_sync",
           "Number of failures on either bit or transmission word boundaries"),
    MSP_FC("loss_of_signal_count", "loss_of_signal", "Number of times signal has been lost"),
    MSP_FC("nos_count", "nos", "Number Not_Operational Primitive Sequence received by host port"),
    MSP_FC("fcp_packet_aborts", "fcp_packet_aborts", "Number of aborted packets"),
};
#undef MSP_FC
constexpr const char* kTexts[] = {
    "speed",       "port_state",    "port_type",         "port_id",          "port_name",
    "fabric_name", "symbolic_name", "supported_classes", "supported_speeds", "dev_loss_tmo"};
constexpr std::size_t kFirstName = 3;  // "0x..." is sent without its "0x"
constexpr std::size_t kLastName = 5;
constexpr MetricDesc kInfo{
    "node_fibrechannel_info", "Non-numeric data from /sys/class/fc_host/<host>, value is always 1.",
    "/sys/class/fc_host/DEVICE/FILE", MetricType::gauge,
    "fc_host,speed,port_state,port_type,port_id,port_name,fabric_name,symbolic_name,"
    "supported_classes,supported_speeds,dev_loss_tmo"};
constexpr double kNotCounted = 0x1p64;  // 0xffffffffffffffff as a double

class Fibrechannel : public Collector {
 public:
  explicit Fibrechannel(const CollectorContext& context)
      : folder_(context.paths.sys("class/fc_host")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    const SysFolder hosts(folder_);
    if (!hosts) return no_data(cat(folder_, ": no such folder"));
    hosts.list(names_);
    for (const auto& name : names_) {
      const SysFolder host(hosts, name.c_str());
      if (!host) continue;
      auto& t = texts_;
      for (std::size_t i = 0; i < t.size(); ++i) {
        read_label(host, kTexts[i], kInfo, t[i], out);
        if (i >= kFirstName && i <= kLastName) t[i].erase(0, std::min<std::size_t>(t[i].size(), 2));
      }
      out.add(kInfo, {name, t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]}, 1);
      for (const auto& value : kValues) {
        const auto number =
            read_number(host, value.file, value.metric, out, SysNumber::hexadecimal);
        if (number && *number < kNotCounted) out.add(value.metric, {name}, *number);
      }
    }
    return {};
  }

 private:
  const std::string folder_;
  std::vector<std::string> names_;
  std::array<std::string, std::size(kTexts)> texts_;  // of one host after the other
};

}  // namespace

CollectorType fibrechannel_collector() {
  return {.make = make_collector<Fibrechannel>,
          .costly = "some adapters are asked for their counters with a command"};
}

}  // namespace msp::collectors
