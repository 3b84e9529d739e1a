#include "agent/relay/receiver.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <random>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/queue/compression.h"
#include "agent/relay/content.h"

namespace msp::relay {
namespace {

constexpr std::array<std::string_view, 3> kPaths = {"/api/v1/write", "/api/v1/push",
                                                    "/api/v1/metrics/write"};
// vmagent before 1.116, and others that ask first, take zstd where the answer is 1.
constexpr std::string_view kHandshake = "get_vm_proto_version=1";
constexpr std::string_view kLiveStream = "relay";
constexpr std::string_view kOldStream = "relay/old";
// What a client has sent lately: half of it counts after this time.
constexpr double kShareHalfLifeNs = 10e9;
constexpr double kShareTimesAverage = 1.5;
constexpr std::size_t kSharesMax = 4096;
// Of what is committed together, for the next time.
constexpr std::size_t kKeptBytes = std::size_t{512} << 10;

metrics::StreamPtr stream(std::string_view name, bool is_backlog) {
  return std::make_shared<const metrics::Stream>(metrics::Stream{std::string(name), is_backlog});
}

/// Not all at the same moment again.
listen::HttpReply later(int status, std::string text) {
  static std::minstd_rand random(std::random_device{}());
  auto reply = listen::text_reply(status, std::move(text));
  reply.fields.push_back(cat("Retry-After: ", 5 + random() % 6));
  return reply;
}

bool has_handshake(std::string_view query) {
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    if (pair == kHandshake) return true;
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
  }
  return false;
}

/// "application/x-protobuf;proto=io.prometheus.write.v2.Request"; nothing where it is another type.
std::optional<WriteVersion> version_of(const listen::HttpRequestHead& head) {
  std::string_view rest = head.field("content-type");
  if (rest.empty()) return WriteVersion::v1;
  auto version = std::optional(WriteVersion::v1);
  bool is_first = true;
  while (!rest.empty()) {
    const auto part = rest.substr(0, rest.find(';'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const auto word = lower_case(trim(part));
    if (std::exchange(is_first, false)) {
      if (word != "application/x-protobuf") return std::nullopt;
    } else if (word == "proto=io.prometheus.write.v2.request") {
      version = WriteVersion::v2;
    } else if (word.starts_with("proto=") && word != "proto=prometheus.writerequest") {
      return std::nullopt;
    }
  }
  return version;
}

std::optional<ContentEncoding> encoding_of(const listen::HttpRequestHead& head) {
  const auto name = lower_case(head.field("content-encoding"));
  if (name.empty() || name == "snappy") return ContentEncoding::snappy;
  if (name == "zstd") return ContentEncoding::zstd;
  return std::nullopt;
}

std::vector<std::string> written_fields(const SampleCounts& counts) {
  constexpr std::string_view kBegin = "X-Prometheus-Remote-Write-";
  return {cat(kBegin, "Samples-Written: ", counts.samples),
          cat(kBegin, "Histograms-Written: ", counts.histograms),
          cat(kBegin, "Exemplars-Written: 0")};
}

}  // namespace

Receiver::Receiver(Setup setup) : setup_(std::move(setup)) {
  live_.stream = stream(kLiveStream, false);
  old_.stream = stream(kOldStream, true);
  setup_.stats->clients.clear();
  for (const auto& client : setup_.clients) {
    setup_.stats->clients.emplace_back().name = client.name;
  }
}

Receiver::~Receiver() = default;

bool Receiver::has_path(std::string_view path) {
  return std::ranges::find(kPaths, path) != kPaths.end();
}

void Receiver::count_refused(std::size_t client, int status) {
  const auto* const reason = std::ranges::find(kRefusals, status, &RefusalReason::status);
  ++setup_.stats->clients[client].refused[static_cast<std::size_t>(reason - kRefusals)];
}

/// Counts it.
listen::HttpReply Receiver::refused(std::size_t client, listen::HttpReply reply) {
  count_refused(client, reply.status);
  return reply;
}

std::optional<listen::HttpReply> Receiver::refuse(listen::HttpRequestHead& head,
                                                  std::size_t& body_bytes_max) {
  body_bytes_max = kBodyBytesMax;
  const auto now_ns = setup_.clock->monotonic_ns();
  auto& client = setup_.stats->clients[head.client];
  client.last_seen_ms = setup_.clock->wall_ns() / kNsPerMs;
  ++client.requests;
  if (has_handshake(head.query) && (head.method == "GET" || head.method == "POST")) {
    return std::nullopt;
  }
  if (head.method != "POST") {
    auto reply = listen::text_reply(405, "POST is answered here");
    reply.fields.emplace_back("Allow: POST");
    return refused(head.client, std::move(reply));
  }
  if (!version_of(head)) {
    return refused(head.client,
                   listen::text_reply(415,
                                      "Content-Type: application/x-protobuf is taken here, of "
                                      "remote write 1.0 or 2.0"));
  }
  if (!encoding_of(head)) {
    return refused(head.client,
                   listen::text_reply(415, "Content-Encoding: snappy and zstd are taken here"));
  }
  if (!setup_.path->note(head.field(RelayPath::kHeader), now_ns)) {
    setup_.stats->loop_ms = setup_.clock->wall_ns() / kNsPerMs;
    if (loop_lines_.pass(now_ns)) {
      log_error(
          "listen: what this relay has sent comes back to it: the relays send to one another in a "
          "circle; correct remote_write.url of one of them. Such requests are refused");
    }
    return refused(head.client,
                   listen::text_reply(508,
                                      "this relay has sent these samples itself: the relays "
                                      "send to one another in a circle"));
  }
  return refuse_for_room(head, now_ns);
}

std::optional<listen::HttpReply> Receiver::refuse_for_room(const listen::HttpRequestHead& head,
                                                           std::int64_t now_ns) {
  const auto room = setup_.queue.room();
  std::string full;
  if (room == queue::Queue::Room::none) {
    full = "what is received cannot be kept: the disk, or the folder of the log, cannot be used";
  } else if (room == queue::Queue::Room::full) {
    full = "the buffer's share for what is received is full";
  }
  if (full != told_full_) {
    if (full.empty()) {
      log_info("listen: there is room again for what is received");
    } else if (full_lines_.pass(now_ns)) {
      log_warning(cat("listen: ", full, "; clients are told to try again later"));
    }
    told_full_ = full;
  }
  if (!full.empty())
    return refused(head.client, later(room == queue::Queue::Room::none ? 503 : 429, full));
  if (room == queue::Queue::Room::tight && has_more_than_its_share(head, now_ns)) {
    return refused(head.client, later(429, "more than this client's share of the buffer's memory"));
  }
  return std::nullopt;
}

bool Receiver::has_more_than_its_share(const listen::HttpRequestHead& head, std::int64_t now_ns) {
  count_share(head, 0, now_ns);
  double all = 0;
  for (const auto& [who, share] : shares_) all += share.bytes;
  const auto average = all / static_cast<double>(shares_.size());
  return shares_.size() > 1 &&
         shares_[cat(head.client, "/", head.peer)].bytes > kShareTimesAverage * average;
}

/// Brings all shares to the present; those that are nearly nothing are forgotten.
void Receiver::count_share(const listen::HttpRequestHead& head, std::size_t bytes,
                           std::int64_t now_ns) {
  if (shares_.size() >= kSharesMax) shares_.clear();
  auto& own = shares_.try_emplace(cat(head.client, "/", head.peer), Share{0, now_ns}).first->second;
  const auto to_present = [&](Share& share) {
    share.bytes *= std::exp2(-static_cast<double>(now_ns - share.at_ns) / kShareHalfLifeNs);
    share.at_ns = now_ns;
  };
  to_present(own);
  own.bytes += static_cast<double>(bytes);
  if (now_ns - shares_at_ns_ < kNsPerSecond) return;
  shares_at_ns_ = now_ns;
  for (auto& [who, share] : shares_) to_present(share);
  std::erase_if(shares_, [](const auto& one) { return one.second.bytes < 1; });
}

void Receiver::handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
                      listen::Server& server) {
  if (has_handshake(head.query)) {
    return server.reply(to, listen::HttpReply{.body = std::make_shared<const std::string>("1")});
  }
  const auto now_ns = setup_.clock->monotonic_ns();
  const auto version = *version_of(head);
  auto& client = setup_.stats->clients[head.client];
  count_share(head, body.size(), now_ns);
  const auto refuse = [&](const ContentError& error) {
    if (bad_lines_.pass(now_ns)) {
      log_warning(cat("listen: a request of ", client.name.empty() ? "a client" : client.name,
                      " is refused: ", error.text));
    }
    server.reply(
        to, refused(head.client, listen::text_reply(error.is_too_large ? 413 : 400, error.text)));
  };
  auto content = decompress(body, *encoding_of(head), kContentBytesMax);
  body = {};
  if (!content) return refuse(content.error());
  const auto old_before_ms = setup_.clock->wall_ns() / kNsPerMs - kOldAfterMs;
  const auto outcome =
      reader_.read(*content, version, setup_.clients[head.client].labels,
                   [&](std::string_view field, const SampleCounts& counts) {
                     add(counts.last_timestamp_ms < old_before_ms ? old_ : live_, field, counts);
                   });
  content->clear();
  content->shrink_to_fit();
  if (!outcome) return refuse(outcome.error());
  client.samples += outcome->taken.all();
  client.samples_skipped += outcome->skipped_samples;
  if (outcome->skipped_samples > 0 && skipped_lines_.pass(now_ns)) {
    log_warning(cat("listen: ", grouped(outcome->skipped_samples), " samples of ",
                    client.name.empty() ? "a client" : client.name,
                    " are left out, for no receiver would take them: ", outcome->first_skipped));
  }
  listen::HttpReply reply{.status = 204};
  if (version == WriteVersion::v2) reply.fields = written_fields(outcome->taken);
  waiting_.push_back({to, std::move(reply), head.client});
  if (commit_ns_ == kNeverNs) commit_ns_ = now_ns + kCommitNs;
}

void Receiver::add(Chunk& chunk, std::string_view field, const SampleCounts& counts) {
  if (!chunk.content.empty() && chunk.content.size() + field.size() > kChunkBytes) flush(chunk);
  chunk.content += field;
  chunk.counts.add(counts);
}

void Receiver::flush(Chunk& chunk) {
  if (chunk.content.empty()) return;
  // A time that is far away would make the queue take an entry for old, or for new, for ever.
  const auto now_ms = setup_.clock->wall_ns() / kNsPerMs;
  queue::Request request;
  request.stream = chunk.stream;
  request.samples = chunk.counts.all();
  request.last_timestamp_ms = std::clamp<std::int64_t>(chunk.counts.last_timestamp_ms, 0, now_ms);
  request.first_timestamp_ms =
      std::clamp<std::int64_t>(chunk.counts.first_timestamp_ms, 0, request.last_timestamp_ms);
  const bool is_compressed =
      queue::compress_frame(chunk.content, request.message, queue::Frame::quick);
  chunk.content.clear();
  chunk.counts = {};
  if (!is_compressed) {
    is_safe_ = false;
    return;
  }
  request.message.shrink_to_fit();
  is_safe_ = setup_.queue.append(std::move(request)) && is_safe_;
}

/// What came within a moment is in the log together; then all are answered.
void Receiver::commit(listen::Server& server) {
  for (auto* const chunk : {&live_, &old_}) {
    flush(*chunk);
    if (chunk->content.capacity() > kKeptBytes) chunk->content = {};
  }
  const bool is_safe = std::exchange(is_safe_, true);
  for (auto& one : std::exchange(waiting_, {})) {
    if (!is_safe) {
      one.reply =
          refused(one.client, later(503, "what was received could not be made safe from a crash"));
    }
    server.reply(one.to, std::move(one.reply));
  }
  commit_ns_ = kNeverNs;
}

void Receiver::work(listen::Server& server) {
  if (setup_.clock->monotonic_ns() >= commit_ns_) commit(server);
}

}  // namespace msp::relay
