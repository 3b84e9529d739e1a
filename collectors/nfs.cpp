// nfs: what the NFS client of this host has sent, from /proc/net/rpc/nfs (collectors/rpc_stats.h).
// A host that has mounted nothing over NFS does not have the file. Versions and procedures that the
// kernel does not have are left out; node_exporter sends 0 for them.
#include "collectors/collector.h"
#include "collectors/rpc_stats.h"

namespace msp::collectors {
namespace {

#define MSP_NFS(name, help, labels) \
  { "node_nfs_" name, help, "/proc/net/rpc/nfs", MetricType::counter, labels }
constexpr MetricDesc kPackets MSP_NFS(
    "packets_total", "Total NFSd network packets (sent+received) by protocol type.", "protocol");
constexpr MetricDesc kConnections MSP_NFS("connections_total",
                                          "Total number of NFSd TCP connections.", "");
constexpr MetricDesc kRpcs MSP_NFS("rpcs_total", "Total number of RPCs performed.", "");
constexpr MetricDesc kRetransmissions MSP_NFS("rpc_retransmissions_total",
                                              "Number of RPC transmissions performed.", "");
constexpr MetricDesc kRefreshes MSP_NFS("rpc_authentication_refreshes_total",
                                        "Number of RPC authentication refreshes performed.", "");
constexpr MetricDesc kRequests MSP_NFS("requests_total", "Number of NFS procedures invoked.",
                                       "proto,method");
#undef MSP_NFS

constexpr RpcColumn kNet[] = {{}, {&kPackets, "udp"}, {&kPackets, "tcp"}, {&kConnections}};
constexpr RpcColumn kRpc[] = {{&kRpcs}, {&kRetransmissions}, {&kRefreshes}};
constexpr RpcLine kLines[] = {{"net", kNet}, {"rpc", kRpc}};
constexpr RpcProcedures kProcedures[] = {
    {"proc2", "2",
     "Null GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link "
     "SymLink MkDir RmDir ReadDir FsStat"},
    {"proc3", "3",
     "Null GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove "
     "RmDir Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit"},
    {"proc4", "4",
     "Null Read Write Commit Open OpenConfirm OpenNoattr OpenDowngrade Close Setattr FsInfo Renew "
     "SetClientID SetClientIDConfirm Lock Lockt Locku Access Getattr Lookup LookupRoot Remove "
     "Rename Link Symlink Create Pathconf StatFs ReadLink ReadDir ServerCaps DelegReturn GetACL "
     "SetACL FsLocations ReleaseLockowner Secinfo FsidPresent ExchangeID CreateSession "
     "DestroySession Sequence GetLeaseTime ReclaimComplete GetDeviceInfo LayoutGet LayoutCommit "
     "LayoutReturn SecinfoNoName TestStateID FreeStateID GetDeviceList BindConnToSession "
     "DestroyClientID Seek Allocate DeAllocate LayoutStats Clone"},
};

class Nfs : public Collector {
 public:
  explicit Nfs(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("net/rpc/nfs"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    return add_rpc_stats(file_->path(), *content, {kLines, kProcedures, kRequests}, out);
  }

 private:
  std::shared_ptr<KeptFile> file_;
};

}  // namespace

CollectorType nfs_collector() {
  return {make_collector<Nfs>};
}

}  // namespace msp::collectors
