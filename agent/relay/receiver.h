// POST /api/v1/write and its like: what clients send by remote write is checked, gets the labels of
// the client's login, and goes to the queue beside what the agent collects itself.
//
// An answer of 2xx means that the queue's log has the samples (queue.h says which crash cannot take
// them then). Requests that come within a moment are committed together: one record of the log, one
// entry of the queue.
//
// A client is never told that its samples are bad (4xx: senders destroy them) for what is wrong here:
// 429 where the buffer's share for a relay is full, or the client takes more than its share of a full
// memory; 503 where nothing can be kept. 400 is for bytes that can never be read.
//
// Samples that are older than kOldAfterMs are what a client kept during an outage of its own. They are
// a stream of their own, which is of the backlog lane always: a client that catches up does not delay
// what others send now.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/throttle.h"
#include "agent/listen/server.h"
#include "agent/queue/queue.h"
#include "agent/relay/relay_path.h"
#include "agent/relay/write_message.h"

namespace msp::relay {

/// Why a request is refused, by the status of the answer.
struct RefusalReason {
  int status;
  std::string_view reason;
};
inline constexpr RefusalReason kRefusals[] = {
    {400, "damaged"},     {405, "method"},      {413, "too_large"}, {415, "type"},
    {429, "buffer_full"}, {503, "unavailable"}, {508, "loop"}};

/// Written by the server's thread, read by any.
struct ReceiverStats {
  struct Client {
    std::string name;  // empty: everybody
    std::atomic<std::int64_t> last_seen_ms = 0;
    std::atomic<std::uint64_t> requests = 0;         // whatever the answer was
    std::atomic<std::uint64_t> samples = 0;          // taken, with histograms
    std::atomic<std::uint64_t> samples_skipped = 0;  // of series that no receiver would take
    std::array<std::atomic<std::uint64_t>, std::size(kRefusals)> refused = {};  // requests

    std::uint64_t all_refused() const {
      return std::accumulate(refused.begin(), refused.end(), 0ULL);
    }
  };
  std::deque<Client> clients;
  std::atomic<std::int64_t> loop_ms = 0;  // when the last request came that had been here before
};

class Receiver final : public listen::RequestHandler {
 public:
  static constexpr std::size_t kBodyBytesMax = std::size_t{8} << 20;
  // What every receiver takes (Prometheus, VictoriaMetrics: 32 MiB), so that a sender that was set up
  // for one of them need not be changed.
  static constexpr std::size_t kContentBytesMax = std::size_t{32} << 20;
  static constexpr std::size_t kChunkBytes = std::size_t{1} << 20;  // of an entry, decompressed
  static constexpr std::int64_t kCommitNs = 50 * kNsPerMs;
  static constexpr std::int64_t kOldAfterMs = 120'000;

  struct Client {
    std::string name;
    std::vector<metrics::Label> labels;  // enforced
  };
  struct Setup {
    queue::Queue& queue;
    std::vector<Client> clients;  // by HttpRequestHead::client; at least one
    std::shared_ptr<RelayPath> path = std::make_shared<RelayPath>();
    std::shared_ptr<ReceiverStats> stats = std::make_shared<ReceiverStats>();
    Clock* clock = &real_clock();
  };

  explicit Receiver(Setup setup);
  ~Receiver() override;

  static bool has_path(std::string_view path);

  std::optional<listen::HttpReply> refuse(listen::HttpRequestHead& head,
                                          std::size_t& body_bytes_max) override;
  void on_refused(const listen::HttpRequestHead& head, int status) override {
    count_refused(head.client, status);
  }
  void handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
              listen::Server& server) override;
  void work(listen::Server& server) override;
  std::int64_t due_ns() const override { return commit_ns_; }

 private:
  /// What is to be one entry of the queue.
  struct Chunk {
    metrics::StreamPtr stream;
    std::string content;
    SampleCounts counts;
  };
  struct Waiting {
    listen::ReplyTo to;
    listen::HttpReply reply;
    std::size_t client = 0;
  };
  struct Share {
    double bytes = 0;  // lately
    std::int64_t at_ns = 0;
  };

  std::optional<listen::HttpReply> refuse_for_room(const listen::HttpRequestHead& head,
                                                   std::int64_t now_ns);
  void count_refused(std::size_t client, int status);
  listen::HttpReply refused(std::size_t client, listen::HttpReply reply);
  void add(Chunk& chunk, std::string_view field, const SampleCounts& counts);
  void flush(Chunk& chunk);
  void commit(listen::Server& server);
  bool has_more_than_its_share(const listen::HttpRequestHead& head, std::int64_t now_ns);
  void count_share(const listen::HttpRequestHead& head, std::size_t bytes, std::int64_t now_ns);

  const Setup setup_;
  WriteMessageReader reader_;
  Chunk live_;
  Chunk old_;
  std::vector<Waiting> waiting_;
  bool is_safe_ = true;  // of what was flushed since the last commit
  std::int64_t commit_ns_ = kNeverNs;
  std::map<std::string, Share> shares_;  // by client and address
  std::int64_t shares_at_ns_ = 0;
  std::string told_full_;  // what the log says is full; empty: nothing
  Throttle full_lines_;
  Throttle skipped_lines_;
  Throttle bad_lines_;
  Throttle loop_lines_;
};

}  // namespace msp::relay
