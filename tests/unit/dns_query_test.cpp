// A question to a name server that guesses, hangs up, or sends its answer in pieces: the test is the
// server, on loopback, and goes on step by step.
#include "agent/sources/probe/dns_query.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <string_view>

namespace msp {
namespace {

using namespace std::string_literals;

class Server {
 public:
  explicit Server(int type) : fd_(socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    if (type == SOCK_STREAM) REQUIRE(listen(fd_.get(), 1) == 0);
    address_.size = sizeof address_.bytes;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_.bytes), &address_.size);
  }

  const http::SocketAddress& address() const { return address_; }

  /// The request that has come over UDP, and its sender becomes the one that is answered.
  std::string receive() {
    char bytes[512];
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const auto got =
        recvfrom(fd_.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &size);
    REQUIRE(got > 0);
    REQUIRE(connect(fd_.get(), reinterpret_cast<sockaddr*>(&from), size) == 0);
    return {bytes, static_cast<std::size_t>(got)};
  }
  void answer(const std::string& bytes) { put(fd_.get(), bytes); }

  void accept_connection() {
    connection_ = Fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(connection_);
  }
  std::string read_request() {
    char bytes[512];
    const auto got = recv(connection_.get(), bytes, sizeof bytes, 0);
    REQUIRE(got > 2);
    return {bytes + 2, static_cast<std::size_t>(got) - 2};
  }
  void write(const std::string& bytes) { put(connection_.get(), bytes); }
  void hang_up() { connection_.reset(); }

 private:
  static void put(int fd, const std::string& bytes) {
    REQUIRE(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }

  Fd fd_;
  Fd connection_;
  http::SocketAddress address_;
};

/// As the loop does it: a step when the socket is ready.
bool step(sources::DnsQuery& query) {
  pollfd ready{query.fd(), static_cast<short>(query.waits_to_write() ? POLLOUT : POLLIN), 0};
  REQUIRE(poll(&ready, 1, 120'000) == 1);
  return query.step();
}

const sources::DnsQuestion kQuestion{.name = "a.example", .type = 1};

/// To `request`, with one address.
std::string answer_to(const std::string& request) {
  auto answer = request;
  answer[2] = static_cast<char>(answer[2] | 0x80);
  answer[7] = 1;
  return answer + "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\1"s;
}

std::string framed(const std::string& message) {
  return {static_cast<char>(message.size() >> 8) + ""s + static_cast<char>(message.size()) +
          message};
}

}  // namespace

TEST_CASE("dns query: over UDP, what is no answer to it is passed over") {
  Server server(SOCK_DGRAM);
  sources::DnsQuery query(kQuestion, false);
  REQUIRE(query.begin(server.address()).has_value());
  CHECK_FALSE(query.step());
  const auto request = server.receive();
  auto other_id = answer_to(request);
  ++other_id[0];
  for (const auto& guess : {other_id, request, "x"s, ""s}) {
    server.answer(guess);
    CHECK_FALSE(step(query));
  }
  server.answer(answer_to(request));
  REQUIRE(step(query));
  REQUIRE(query.answer());
  CHECK(query.answer()->records(sources::DnsAnswer::answer).size() == 1);
  CHECK(query.connected_ns());
}

TEST_CASE("dns query: over UDP, an answer that is damaged ends it") {
  Server server(SOCK_DGRAM);
  sources::DnsQuery query(kQuestion, false);
  REQUIRE(query.begin(server.address()).has_value());
  CHECK_FALSE(query.step());
  const auto answer = answer_to(server.receive());
  server.answer(answer.substr(0, answer.size() - 1));
  REQUIRE(step(query));
  CHECK_FALSE(query.answer());
  CHECK(query.problem() == "the answer is damaged: a record is longer than the answer");
}

TEST_CASE("dns query: over TCP, the answer comes in pieces") {
  Server server(SOCK_STREAM);
  sources::DnsQuery query(kQuestion, true);
  REQUIRE(query.begin(server.address()).has_value());
  CHECK(query.waits_to_write());
  CHECK_FALSE(step(query));
  CHECK_FALSE(query.waits_to_write());
  server.accept_connection();
  const auto answer = framed(answer_to(server.read_request()));
  for (std::size_t i = 0; i + 1 < answer.size(); ++i) {
    server.write(answer.substr(i, 1));
    CHECK_FALSE(step(query));
  }
  server.write(answer.substr(answer.size() - 1));
  REQUIRE(step(query));
  CHECK(query.answer());
}

TEST_CASE("dns query: over TCP, what a server may do wrong") {
  struct Row {
    std::string (*says)(const std::string& request);
    std::string problem;
  };
  const Row rows[] = {
      {[](const std::string&) { return ""s; }, "the connection was closed before the answer"},
      {[](const std::string&) { return "\0"s; }, "the connection was closed before the answer"},
      {[](const std::string&) { return "\0\0"s; }, "an empty answer"},
      {[](const std::string& request) { return "\xff\xff"s + answer_to(request); },
       "the connection was closed before the answer"},
      {[](const std::string& request) { return framed(request); },
       "the answer is to another question"},
  };
  for (const auto& row : rows) {
    INFO(row.problem);
    Server server(SOCK_STREAM);
    sources::DnsQuery query(kQuestion, true);
    REQUIRE(query.begin(server.address()).has_value());
    CHECK_FALSE(step(query));
    server.accept_connection();
    if (const auto said = row.says(server.read_request()); !said.empty()) server.write(said);
    server.hang_up();
    for (int steps = 0; !step(query); ++steps) REQUIRE(steps < 10);
    CHECK_FALSE(query.answer());
    CHECK(query.problem() == row.problem);
  }
}

TEST_CASE("dns query: nobody listens") {
  for (const bool uses_tcp : {false, true}) {
    Server server(uses_tcp ? SOCK_STREAM : SOCK_DGRAM);
    auto nobody = server.address();
    server = Server(uses_tcp ? SOCK_STREAM : SOCK_DGRAM);  // the first one is closed
    sources::DnsQuery query(kQuestion, uses_tcp);
    REQUIRE(query.begin(nobody).has_value());
    for (int steps = 0; !step(query); ++steps) REQUIRE(steps < 10);
    CHECK(query.problem() ==
          (uses_tcp ? "no connection: Connection refused" : "no answer: Connection refused"));
  }
}

}  // namespace msp
