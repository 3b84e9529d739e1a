#include "agent/relay/receiver.h"

#include <snappy.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>

#include "agent/base/text.h"
#include "agent/queue/compression.h"
#include "tests/support/queue_fixture.h"
#include "write_request.pb.h"

namespace msp {
namespace {

constexpr std::int64_t kNowMs = test::FakeClock::kWallStartNs / kNsPerMs;

std::string snappied(const std::string& content) {
  std::string body;
  snappy::Compress(content.data(), content.size(), &body);
  return body;
}

std::string message(const std::string& customer, std::int64_t time_ms, int series = 1) {
  prometheus::WriteRequest request;
  for (int i = 0; i < series; ++i) {
    auto* const one = request.add_timeseries();
    const std::pair<std::string, std::string> labels[] = {{"__name__", cat("m", i)},
                                                          {"customer_id", customer}};
    for (const auto& [name, value] : labels) {
      auto* const label = one->add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    one->add_samples()->set_timestamp(time_ms);
  }
  return request.SerializeAsString();
}

std::string post(const std::string& body, std::string_view more = "",
                 std::string_view path = "/api/v1/write") {
  return cat("POST ", path, " HTTP/1.1\r\nHost: a\r\nContent-Length: ", body.size(), "\r\n", more,
             "\r\n", body);
}

/// Everybody is `client`.
struct As final : listen::RequestHandler {
  explicit As(relay::Receiver& receiver) : receiver(receiver) {}
  std::optional<listen::HttpReply> refuse(listen::HttpRequestHead& head,
                                          std::size_t& body_bytes_max) override {
    head.client = client;
    if (!peer.empty()) head.peer = peer;
    return receiver.refuse(head, body_bytes_max);
  }
  void on_refused(const listen::HttpRequestHead& head, int status) override {
    receiver.on_refused(head, status);
  }
  void handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
              listen::Server& server) override {
    receiver.handle(head, body, to, server);
  }
  void work(listen::Server& server) override { receiver.work(server); }
  std::int64_t due_ns() const override { return receiver.due_ns(); }

  relay::Receiver& receiver;
  std::size_t client = 0;
  std::string peer;
};

struct Relay : test::QueueFixture {
  Relay() { REQUIRE(server.listen()); }

  int connect() {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.data(), path.size());
    REQUIRE(::connect(fd, reinterpret_cast<sockaddr*>(&un), sizeof un) == 0);
    return fd;
  }
  void settle() {
    for (int i = 0; i < 12; ++i) server.step(clock.monotonic_ns());
  }
  static std::string received(int fd) {
    std::string all;
    char bytes[4096];
    for (;;) {
      const auto got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got <= 0) return all;
      all.append(bytes, static_cast<std::size_t>(got));
    }
  }
  /// Sent, and nothing more has happened yet.
  int send(const std::string& request) {
    const int fd = connect();
    std::string_view left = request;
    while (!left.empty()) {
      const auto sent = ::send(fd, left.data(), left.size(), MSG_NOSIGNAL);
      if (sent > 0) left.remove_prefix(static_cast<std::size_t>(sent));
      settle();
      if (sent <= 0 && errno != EAGAIN) break;  // it was refused before its end
    }
    settle();
    return fd;
  }
  std::string take(int fd) {
    settle();
    const auto answer = received(fd);
    ::close(fd);
    settle();
    return answer;
  }
  std::uint64_t refused(int code) const {
    const auto* const reason =
        std::ranges::find(relay::kRefusals, code, &relay::RefusalReason::status);
    return stats->clients[0].refused[static_cast<std::size_t>(reason - relay::kRefusals)];
  }
  /// The answer of a whole exchange.
  std::string ask(const std::string& request) {
    const int fd = send(request);
    clock.advance(relay::Receiver::kCommitNs);
    return take(fd);
  }
  int status(const std::string& request) {
    const auto answer = ask(request);
    REQUIRE(answer.starts_with("HTTP/1.1 "));
    return std::stoi(answer.substr(9, 3));
  }
  /// What waits, as (stream, samples, content).
  std::vector<std::tuple<std::string, std::uint64_t, std::string>> waiting_entries() {
    std::vector<std::tuple<std::string, std::uint64_t, std::string>> all;
    queue::Batch batch;
    queue->read(0, {.samples_max = test::kMany}, batch);
    for (const auto& entry : batch.entries()) {
      if (entry.request == nullptr) continue;
      all.emplace_back(
          entry.stream_name(), entry.samples(),
          queue::content_of(entry.request->message, queue::kRequestContentMax).value());
    }
    queue->release(0, batch);
    return all;
  }

  const std::string path = cat("/tmp/msp-agent-receiver-", ::getpid());
  const std::shared_ptr<relay::RelayPath> path_of_relay = std::make_shared<relay::RelayPath>();
  const std::shared_ptr<relay::ReceiverStats> stats = std::make_shared<relay::ReceiverStats>();
  relay::Receiver receiver{
      {.queue = *queue,
       .clients = {{"alpha", {{"customer_id", "alpha"}}}, {"beta", {{"customer_id", "beta"}}}},
       .path = path_of_relay,
       .stats = stats,
       .clock = &clock}};
  As handler{receiver};
  listen::Server server{
      {.address = {listen::ListenAddress::Family::unix_socket, path, 0}, .clock = &clock}, handler};
};

}  // namespace

TEST_CASE_METHOD(Relay,
                 "receiver: what comes within a moment is one entry, with each client's labels") {
  const int first = send(post(snappied(message("gamma", kNowMs))));
  handler.client = 1;
  const int second =
      send(post(snappied(message("gamma", kNowMs - 1'000)), "", "/api/v1/metrics/write"));
  CHECK(received(first).empty());  // not yet: nothing is kept
  CHECK(waiting_entries().empty());
  clock.advance(relay::Receiver::kCommitNs);
  CHECK(take(first).starts_with("HTTP/1.1 204 No Content\r\n"));
  CHECK(take(second).starts_with("HTTP/1.1 204 No Content\r\n"));
  const auto entries = waiting_entries();
  REQUIRE(entries.size() == 1);
  CHECK(std::get<0>(entries[0]) == "relay");
  CHECK(std::get<1>(entries[0]) == 2);
  CHECK(std::get<2>(entries[0]) == message("alpha", kNowMs) + message("beta", kNowMs - 1'000));
  SECTION("and what was answered survives a crash of the process") {
    reopen();
    CHECK(waiting_entries() == entries);
  }
}

TEST_CASE_METHOD(Relay, "receiver: what a client kept during an outage is never of the live lane") {
  CHECK(status(post(snappied(message("x", kNowMs - 3'600'000)))) == 204);
  CHECK(status(post(snappied(message("x", kNowMs)), "", "/api/v1/push")) == 204);
  const auto now_ns = clock.monotonic_ns();
  CHECK(read({queue::Wanted::Lane::live, test::kMany, now_ns - kNsPerSecond}, 0, false) ==
        test::Times{kNowMs});
  CHECK(read({queue::Wanted::Lane::backlog, test::kMany, now_ns - kNsPerSecond}, 0, true) ==
        test::Times{kNowMs - 3'600'000});
  CHECK(read({queue::Wanted::Lane::live, test::kMany, now_ns - kNsPerSecond}, 0, true) ==
        test::Times{kNowMs});
  CHECK_FALSE(queue->has_waiting(0));
}

TEST_CASE_METHOD(Relay, "receiver: what is asked for, and what is refused") {
  const auto good = snappied(message("x", kNowMs));
  CHECK(ask("GET /api/v1/write?get_vm_proto_version=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            .ends_with("\r\n\r\n1"));
  CHECK(status(post("", "Content-Type: application/x-protobuf\r\n")) == 204);
  CHECK(status("GET /api/v1/write HTTP/1.1\r\nHost: a\r\n\r\n") == 405);
  CHECK(status(post(good, "Content-Encoding: gzip\r\n")) == 415);
  CHECK(status(post(good, "Content-Type: text/plain\r\n")) == 415);
  CHECK(status(post(good, "Content-Type: application/x-protobuf;proto=x.y\r\n")) == 415);
  CHECK(status(post(good,
                    "Content-Type: application/x-protobuf; proto=prometheus.WriteRequest\r\n")) ==
        204);
  CHECK(status(post("nonsense")) == 400);
  CHECK(status(post(good, "Content-Encoding: zstd\r\n")) == 400);
  CHECK(status(post(snappied(std::string(relay::Receiver::kContentBytesMax + 1, 'x')))) == 413);
  CHECK(ask(cat("POST /api/v1/write HTTP/1.1\r\nHost: a\r\nContent-Length: ",
                relay::Receiver::kBodyBytesMax + 1, "\r\n\r\n"))
            .starts_with("HTTP/1.1 413 "));
  CHECK(refused(413) == 2);
  std::string chunks =
      "POST /api/v1/write HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t bytes = 0; bytes <= relay::Receiver::kBodyBytesMax; bytes += 0x10000) {
    chunks += cat("10000\r\n", std::string(0x10000, 'x'), "\r\n");
  }
  CHECK(ask(chunks).starts_with("HTTP/1.1 413 "));
  CHECK(refused(413) == 3);
  CHECK(ask("POST /api/v1/write HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxxxxx\r\n")
            .starts_with("HTTP/1.1 400 "));
  CHECK(refused(400) == 3);
  const auto v2 =
      ask(post(snappied(std::string("\x22\0", 2)),
               "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"));
  CHECK(v2.find("\r\nX-Prometheus-Remote-Write-Samples-Written: 0\r\n") != std::string::npos);
  CHECK(v2.find("Histograms-Written: 0\r\n") != std::string::npos);
  CHECK(v2.find("Exemplars-Written: 0\r\n") != std::string::npos);
  CHECK(ask(post(good)).find("Written") == std::string::npos);
  CHECK(waiting_entries().size() == 2);
}

TEST_CASE_METHOD(Relay, "receiver: a request that has been here before is refused") {
  relay::RelayPath other;
  CHECK(status(post(snappied(message("x", kNowMs)), other.header_line(0) + "\r\n")) == 204);
  CHECK(status(post(snappied(message("x", kNowMs)), path_of_relay->header_line(0) + "\r\n")) ==
        508);
  CHECK(stats->loop_ms >= kNowMs);
  CHECK(stats->clients[0].all_refused() == 1);
  CHECK(refused(508) == 1);
  CHECK(stats->clients[0].samples == 1);
}

TEST_CASE_METHOD(Relay,
                 "receiver: without a log nothing is taken, and it is nobody's fault but ours") {
  append({1});
  files.fail("/run", "No space left on device");
  const auto good = post(snappied(message("x", kNowMs)));
  const auto answer = ask(good);  // it is found out by trying
  CHECK(answer.starts_with("HTTP/1.1 503 "));
  CHECK(answer.find("\r\nRetry-After: ") != std::string::npos);
  CHECK(status(good) == 503);
  files.fail("", "");
  clock.advance(with.timing.retry_ns);
  append({2});
  CHECK(status(good) == 204);
}

TEST_CASE_METHOD(Relay,
                 "receiver: a full memory is told to try again, first those that filled it") {
  const auto noisy = [&](int seed) {  // does not compress
    std::string text;
    std::uint32_t state = static_cast<std::uint32_t>(seed) + 1;
    for (int i = 0; i < 40'000; ++i) {
      state = state * 1664525 + 1013904223;
      text += static_cast<char>('!' + (state >> 24) % 90);
    }
    prometheus::WriteRequest one;
    auto* const series = one.add_timeseries();
    for (const auto& [name, value] :
         {std::pair<std::string, std::string>{"__name__", "m"}, {"text", text}}) {
      auto* const label = series->add_labels();
      label->set_name(name);
      label->set_value(value);
    }
    series->add_samples()->set_timestamp(kNowMs);
    return post(snappied(one.SerializeAsString()));
  };
  const auto good = post(snappied(message("x", kNowMs)));
  handler.client = 1;
  handler.peer = "quiet";
  CHECK(status(good) == 204);
  handler.client = 0;
  handler.peer = "loud";
  int taken = 0;
  for (int code = 204; taken < 400; ++taken) {
    code = status(noisy(taken));
    if (code == 204) continue;
    CHECK(code == 429);
    break;
  }
  CHECK(taken > 20);
  CHECK(taken < 400);
  handler.client = 1;
  handler.peer = "quiet";
  CHECK(status(good) == 204);  // it has its share
  round();                     // to the disk
  handler.client = 0;
  handler.peer = "loud";
  CHECK(status(good) == 204);
}

TEST_CASE_METHOD(
    Relay, "receiver: a disk whose share is full is told, unless an endpoint has had the oldest") {
  with.limits.bytes_max = 1 << 20;
  reopen({"a", "b"});
  std::string content;
  std::uint32_t state = 1;
  const auto fill = [&] {
    queue::Request request{
        std::make_shared<const metrics::Stream>(metrics::Stream{"relay"}), 1, kNowMs, kNowMs, {}};
    content.clear();
    for (int i = 0; i < 30'000; ++i) {
      state = state * 1664525 + 1013904223;
      content += static_cast<char>(state >> 24);
    }
    REQUIRE(queue::compress_frame(content, request.message));
    queue->append(std::move(request));
    round();
  };
  int count = 0;
  while (queue->room() == queue::Queue::Room::enough && count < 100) fill(), ++count;
  CHECK(queue->room() == queue::Queue::Room::full);
  CHECK(count > 20);
  CHECK(count < 40);
  while (!read({.samples_max = 1}, 0, true).empty()) {  // one endpoint takes it all
  }
  CHECK(queue->room() == queue::Queue::Room::enough);
}

}  // namespace msp
