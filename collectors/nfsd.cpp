// nfsd: what the kernel's NFS server has done, from /proc/net/rpc/nfsd (collectors/rpc_stats.h). A
// host that serves nothing over NFS does not have the file. Lines and operations that the kernel
// does not have are left out; node_exporter sends 0 for them.
#include "collectors/collector.h"
#include "collectors/rpc_stats.h"

namespace msp::collectors {
namespace {

#define MSP_NFSD(name, help, type, labels) \
  { "node_nfsd_" name, help, "/proc/net/rpc/nfsd", MetricType::type, labels }
constexpr MetricDesc kCacheHits
    MSP_NFSD("reply_cache_hits_total",
             "Total number of NFSd Reply Cache hits (client lost server response).", counter, "");
constexpr MetricDesc kCacheMisses
    MSP_NFSD("reply_cache_misses_total",
             "Total number of NFSd Reply Cache an operation that requires caching (idempotent).",
             counter, "");
constexpr MetricDesc kNoCache MSP_NFSD(
    "reply_cache_nocache_total",
    "Total number of NFSd Reply Cache non-idempotent operations (rename/delete/…).", counter, "");
constexpr MetricDesc kStaleHandles MSP_NFSD("file_handles_stale_total",
                                            "Total number of NFSd stale file handles", counter, "");
constexpr MetricDesc kBytesRead MSP_NFSD("disk_bytes_read_total", "Total NFSd bytes read.", counter,
                                         "");
constexpr MetricDesc kBytesWritten MSP_NFSD("disk_bytes_written_total", "Total NFSd bytes written.",
                                            counter, "");
constexpr MetricDesc kThreads MSP_NFSD("server_threads",
                                       "Total number of NFSd kernel threads that are running.",
                                       gauge, "");
constexpr MetricDesc kCacheSize MSP_NFSD("read_ahead_cache_size_blocks",
                                         "How large the read ahead cache is in blocks.", gauge, "");
constexpr MetricDesc kCacheNotFound MSP_NFSD("read_ahead_cache_not_found_total",
                                             "Total number of NFSd read ahead cache not found.",
                                             counter, "");
constexpr MetricDesc kPackets
    MSP_NFSD("packets_total", "Total NFSd network packets (sent+received) by protocol type.",
             counter, "proto");
constexpr MetricDesc kConnections MSP_NFSD("connections_total",
                                           "Total number of NFSd TCP connections.", counter, "");
constexpr MetricDesc kErrors MSP_NFSD("rpc_errors_total",
                                      "Total number of NFSd RPC errors by error type.", counter,
                                      "error");
constexpr MetricDesc kRpcs MSP_NFSD("server_rpcs_total", "Total number of NFSd RPCs.", counter, "");
constexpr MetricDesc kRequests MSP_NFSD("requests_total",
                                        "Total number NFSd Requests by method and protocol.",
                                        counter, "proto,method");
#undef MSP_NFSD

constexpr RpcColumn kCacheLine[] = {{&kCacheHits}, {&kCacheMisses}, {&kNoCache}};
constexpr RpcColumn kHandles[] = {{&kStaleHandles}};
constexpr RpcColumn kBytes[] = {{&kBytesRead}, {&kBytesWritten}};
constexpr RpcColumn kThreadLine[] = {{&kThreads}};
constexpr RpcColumn kReadAhead[] = {{&kCacheSize},    {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
                                    {&kCacheNotFound}};
constexpr RpcColumn kNet[] = {{}, {&kPackets, "udp"}, {&kPackets, "tcp"}, {&kConnections}};
// The second one is the sum of those behind it.
constexpr RpcColumn kRpc[] = {
    {&kRpcs}, {}, {&kErrors, "fmt"}, {&kErrors, "auth"}, {&kErrors, "cInt"}};
constexpr RpcColumn kDelegations[] = {{&kRequests, "4", "WdelegGetattr"}};
constexpr RpcLine kLines[] = {
    {"rc", kCacheLine}, {"fh", kHandles}, {"io", kBytes}, {"th", kThreadLine},
    {"ra", kReadAhead}, {"net", kNet},    {"rpc", kRpc},  {"wdeleg_getattr", kDelegations}};
constexpr RpcProcedures kProcedures[] = {
    {"proc2", "2",
     "- GetAttr SetAttr Root Lookup ReadLink Read WrCache Write Create Remove Rename Link SymLink "
     "MkDir RmDir ReadDir FsStat"},
    {"proc3", "3",
     "- GetAttr SetAttr Lookup Access ReadLink Read Write Create MkDir SymLink MkNod Remove RmDir "
     "Rename Link ReadDir ReadDirPlus FsStat FsInfo PathConf Commit"},
    {"proc4ops", "4",
     "- - - Access Close Commit Create DelegPurge DelegReturn GetAttr GetFH Link Lock Lockt Locku "
     "Lookup LookupRoot Nverify Open OpenAttr OpenConfirm OpenDgrd PutFH - - Read ReadDir ReadLink "
     "Remove Rename Renew RestoreFH SaveFH SecInfo SetAttr SetClientID SetClientIDConfirm Verify "
     "Write RelLockOwner"},
};

class Nfsd : public Collector {
 public:
  explicit Nfsd(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("net/rpc/nfsd"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    return add_rpc_stats(file_->path(), *content, {kLines, kProcedures, kRequests}, out);
  }

 private:
  std::shared_ptr<KeptFile> file_;
};

}  // namespace

CollectorType nfsd_collector() {
  return {make_collector<Nfsd>};
}

}  // namespace msp::collectors
