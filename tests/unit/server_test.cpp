#include "agent/listen/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <functional>

#include "agent/base/text.h"
#include "tests/support/fake_clock.h"

namespace msp {
namespace {

/// Answers with what it was sent, and remembers whether it was asked.
struct Echo final : listen::RequestHandler {
  std::optional<listen::HttpReply> refuse(listen::HttpRequestHead& head,
                                          std::size_t& body_bytes_max) override {
    ++looked;
    body_bytes_max = longest;
    if (head.path == "/no") return listen::text_reply(403, "no");
    head.has_login = head.path == "/login";
    return std::nullopt;
  }
  void handle(const listen::HttpRequestHead& head, std::string& body, listen::ReplyTo to,
              listen::Server& server) override {
    last = to;
    ++handled;
    if (head.path == "/later") return;
    server.reply(to, {.body = std::make_shared<const std::string>(cat(head.path, "|", body))});
  }

  void on_refused(const listen::HttpRequestHead&, int status) override {
    refused.push_back(status);
  }

  std::size_t longest = 100'000;
  int looked = 0;
  int handled = 0;
  std::vector<int> refused;  // by the server
  listen::ReplyTo last;
};

class Client {
 public:
  explicit Client(const listen::ListenAddress& address)
      : fd_(::socket(
            address.family == listen::ListenAddress::Family::unix_socket ? AF_UNIX : AF_INET,
            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    if (address.family == listen::ListenAddress::Family::unix_socket) {
      sockaddr_un un{};
      un.sun_family = AF_UNIX;
      std::memcpy(un.sun_path, address.host.data(), address.host.size());
      REQUIRE(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&un), sizeof un) == 0);
    } else {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(address.port);
      ::inet_pton(AF_INET, address.host.c_str(), &in.sin_addr);
      const int code = ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&in), sizeof in);
      REQUIRE((code == 0 || errno == EINPROGRESS));
    }
  }

  void send(std::string_view bytes) const {
    REQUIRE(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  /// What has come since the last call.
  std::string received() {
    std::string all;
    char bytes[4096];
    for (;;) {
      const auto got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
      if (got > 0) {
        all.append(bytes, static_cast<std::size_t>(got));
        continue;
      }
      ended_ = ended_ || got == 0 || errno != EAGAIN;
      return all;
    }
  }
  /// The server has ended the connection.
  bool ended() {
    received();
    return ended_;
  }
  void close() { fd_.reset(); }

 private:
  Fd fd_;
  bool ended_ = false;
};

struct World {
  explicit World(listen::ListenAddress at)
      : address(std::move(at)), server({.address = address, .clock = &clock}, echo) {
    const auto listening = server.listen();
    INFO((listening ? "" : listening.error().text));
    REQUIRE(listening);
  }
  World()
      : World({listen::ListenAddress::Family::unix_socket,
               cat("/tmp/msp-agent-server-", ::getpid()), 0}) {}

  /// Until nothing moves any more.
  void settle(int steps = 8) {
    for (int i = 0; i < steps; ++i) server.step(clock.monotonic_ns());
  }
  /// Until it is so: TCP, unlike a Unix socket, may need a moment for what was sent.
  bool until(const std::function<bool()>& condition) {
    const auto give_up_ns = monotonic_ns() + 120 * kNsPerSecond;
    while (!condition() && monotonic_ns() < give_up_ns) settle();
    return condition();
  }
  std::string ask(Client& client, std::string_view bytes) {
    client.send(bytes);
    settle();
    return client.received();
  }

  test::FakeClock clock;
  listen::ListenAddress address;
  Echo echo;
  listen::Server server;
};

std::string get(std::string_view path) {
  return cat("GET ", path, " HTTP/1.1\r\nHost: a\r\n\r\n");
}

/// Of an address that is this process's alone.
listen::ListenAddress free_tcp_port() {
  const auto pid = ::getpid();
  const auto host = cat("127.", pid >> 16 & 255, ".", pid >> 8 & 255, ".", (pid & 255) | 2);
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in in{};
  in.sin_family = AF_INET;
  REQUIRE(::inet_pton(AF_INET, host.c_str(), &in.sin_addr) == 1);
  REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&in), sizeof in) == 0);
  socklen_t size = sizeof in;
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&in), &size);
  return {listen::ListenAddress::Family::ip4, host, ntohs(in.sin_port)};
}

}  // namespace

TEST_CASE("listen.address: an IP address with a port, all addresses, or a socket") {
  using Family = listen::ListenAddress::Family;
  CHECK(listen::parse_listen_address("127.0.0.1:9100") ==
        listen::ListenAddress{Family::ip4, "127.0.0.1", 9100});
  CHECK(listen::parse_listen_address("[::1]:9100") ==
        listen::ListenAddress{Family::ip6, "::1", 9100});
  CHECK(listen::parse_listen_address(":9100") == listen::ListenAddress{Family::any, "", 9100});
  CHECK(listen::parse_listen_address("unix:/run/a.sock") ==
        listen::ListenAddress{Family::unix_socket, "/run/a.sock", 0});
  for (const auto* wrong :
       {"", "9100", "localhost:9100", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "::1:9100",
        "[127.0.0.1]:9100", "127.0.0.1:9100 ", "unix:", "unix:a.sock", "http://127.0.0.1:9100",
        "*:9100", "127.1:9100"}) {
    INFO(wrong);
    CHECK_FALSE(listen::is_listen_address(wrong));
  }
  CHECK_FALSE(listen::is_listen_address(cat("unix:/", std::string(200, 'x'))));
  CHECK(listen::parse_listen_address("127.0.0.2:1")->is_local());
  CHECK(listen::parse_listen_address("[::1]:1")->is_local());
  CHECK(listen::parse_listen_address("unix:/a")->is_local());
  CHECK_FALSE(listen::parse_listen_address(":1")->is_local());
  CHECK_FALSE(listen::parse_listen_address("0.0.0.0:1")->is_local());
}

TEST_CASE("server: answers one request after the other, on one connection") {
  World world;
  Client client(world.address);
  const auto first = world.ask(client, get("/a"));
  CHECK(first.starts_with("HTTP/1.1 200 OK\r\nDate: "));
  CHECK(first.ends_with("Content-Length: 3\r\n\r\n/a|"));
  CHECK(world.ask(client, "POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy")
            .ends_with("\r\n\r\n/b|xy"));
  CHECK(world
            .ask(client,
                 "POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n")
            .ends_with("\r\n\r\n/c|xy"));
  CHECK(world.ask(client, "HEAD /d HTTP/1.1\r\nHost: a\r\n\r\n")
            .ends_with("Content-Length: 3\r\n\r\n"));
  const auto both = world.ask(client, get("/e") + get("/f"));
  CHECK(both.find("/e|HTTP/1.1 200") != std::string::npos);
  CHECK(both.ends_with("/f|"));
  CHECK_FALSE(client.ended());
  CHECK(world.ask(client, "GET /g HTTP/1.0\r\n\r\n").find("Connection: close\r\n") !=
        std::string::npos);
  CHECK(client.ended());
}

TEST_CASE("server: TCP as well, and a socket's file that is left is replaced, one in use is not") {
  World tcp(free_tcp_port());
  Client client(tcp.address);
  std::string said;
  REQUIRE(tcp.until([&] { return tcp.server.connections() == 1; }));
  client.send(get("/a"));
  CHECK(tcp.until([&] { return (said += client.received()).ends_with("/a|"); }));

  World first;
  struct stat status {};
  REQUIRE(::stat(first.address.host.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0660);
  const auto second = listen::listen_at(first.address);
  REQUIRE_FALSE(second);
  CHECK(second.error().text.find("another program listens there") != std::string::npos);
  const auto left = cat(first.address.host, "-left");
  { const auto gone = listen::listen_at({listen::ListenAddress::Family::unix_socket, left, 0}); }
  CHECK(listen::listen_at({listen::ListenAddress::Family::unix_socket, left, 0}));
  ::unlink(left.c_str());
}

TEST_CASE("server: what is no request is answered, and the connection ends") {
  World world;
  Client client(world.address);
  const auto answer = world.ask(
      client,
      cat("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
          "0\r\n\r\n", get("/hidden")));
  CHECK(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"));
  CHECK(answer.find("Connection: close") != std::string::npos);
  CHECK(answer.find("200 OK") == std::string::npos);
  CHECK(client.ended());
  CHECK(world.echo.looked == 0);
}

TEST_CASE("server: a refused or too long body is not read, and not asked for") {
  World world;
  for (const auto* path : {"/no", "/a"}) {
    Client client(world.address);
    const auto answer = world.ask(
        client,
        cat("POST ", path,
            " HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 100001\r\n\r\n"));
    CHECK(answer.starts_with(path == std::string_view("/no") ? "HTTP/1.1 403 " : "HTTP/1.1 413 "));
    CHECK(answer.find("100 Continue") == std::string::npos);
    CHECK(client.ended());
  }
  Client chunked(world.address);
  chunked.send("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n186a1\r\n");
  for (int i = 0; i < 101; ++i) {
    chunked.send(std::string(1000, 'x'));
    world.settle(2);
  }
  CHECK(chunked.received().starts_with("HTTP/1.1 413 "));
  CHECK(world.echo.handled == 0);
  CHECK(world.echo.refused == std::vector{413, 413});
}

TEST_CASE(
    "server: bodies that are read at the same time have a limit, large ones are read one by one") {
  World world;
  world.echo.longest = std::size_t{8} << 20;
  std::vector<std::unique_ptr<Client>> clients;
  const auto begin = [&](std::string_view field) {
    auto& client = *clients.emplace_back(std::make_unique<Client>(world.address));
    return world.ask(client, cat("POST /a HTTP/1.1\r\nHost: a\r\n", field, "\r\n\r\nx"))
        .starts_with("HTTP/1.1 503 ");
  };
  constexpr std::string_view kLarge = "Content-Length: 8388608";
  CHECK_FALSE(begin(kLarge));
  CHECK(begin(kLarge));
  CHECK(begin("Transfer-Encoding: chunked"));
  for (int i = 0; i < 4; ++i) CHECK_FALSE(begin("Content-Length: 1000000"));
  CHECK(begin("Content-Length: 1000000"));
  CHECK_FALSE(begin("Content-Length: 100"));
  CHECK(world.echo.refused == std::vector{503, 503, 503});
  clients.erase(clients.begin());
  world.settle();
  CHECK_FALSE(begin(kLarge));
}

TEST_CASE("server: a body is asked for once its head is fine") {
  World world;
  Client client(world.address);
  CHECK(world.ask(
            client,
            "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n") ==
        "HTTP/1.1 100 Continue\r\n\r\n");
  CHECK(world.ask(client, "xy").ends_with("/a|xy"));
}

TEST_CASE("server: a head has ten seconds, whatever comes of it meanwhile") {
  World world;
  Client slow(world.address);
  Client silent(world.address);
  world.settle();
  for (int i = 0; i < 9; ++i) {
    slow.send("G");
    world.clock.advance(1 * kNsPerSecond);
    world.settle();
    CHECK_FALSE(slow.ended());
  }
  world.clock.advance(2 * kNsPerSecond);
  world.settle();
  CHECK(slow.received().starts_with("HTTP/1.1 503 "));
  CHECK(silent.ended());
  CHECK(world.server.connections() <= 1);  // slow's end is waited for
}

TEST_CASE("server: a body has thirty seconds, and four kilobytes of it each") {
  World world;
  const std::string head = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n";
  Client slow(world.address);
  CHECK(world.ask(slow, head).empty());
  world.clock.advance(4 * kNsPerSecond);
  CHECK(world.ask(slow, std::string(10'000, 'x')).empty());
  world.clock.advance(1500 * kNsPerMs);
  CHECK(world.ask(slow, "x").starts_with("HTTP/1.1 503 "));

  Client steady(world.address);
  world.ask(steady, head);
  for (int i = 0; i < 15; ++i) {
    CHECK(world.ask(steady, std::string(5'000, 'x')).empty());
    world.clock.advance(1 * kNsPerSecond);
  }
  CHECK(world.ask(steady, std::string(25'000, 'x')).find("200 OK") != std::string::npos);

  Client late(world.address);
  world.ask(late, head);
  for (int i = 0; i < 14; ++i) {
    CHECK(
        world.ask(late, std::string(7'000, 'x')).empty());  // faster than it must be, but not done
    if (i == 13) break;
    world.clock.advance(1700 * kNsPerMs);
  }
  world.clock.advance(8 * kNsPerSecond);
  world.settle();
  CHECK(late.received().starts_with("HTTP/1.1 503 "));
}

TEST_CASE("server: an idle connection stays for longer than Go's clients keep it") {
  World world;
  Client client(world.address);
  world.ask(client, get("/a"));
  world.clock.advance(110 * kNsPerSecond);
  CHECK(world.ask(client, get("/a")).ends_with("/a|"));
  world.clock.advance(121 * kNsPerSecond);
  world.settle();
  CHECK(client.ended());
}

TEST_CASE("server: an answer may take its time, one that is not waited for is dropped") {
  World world;
  Client client(world.address);
  CHECK(world.ask(client, get("/later")).empty());
  world.clock.advance(300 * kNsPerSecond);
  world.settle();
  CHECK_FALSE(client.ended());
  const auto to = world.echo.last;
  world.server.reply(to, listen::text_reply(200, "now"));
  world.settle();
  CHECK(client.received().ends_with("now\n"));
  world.server.reply(to, listen::text_reply(200, "twice"));
  world.server.reply({to.connection + 1, 0}, listen::text_reply(200, "nobody's"));
  world.settle();
  CHECK(client.received().empty());

  CHECK(world.ask(client, get("/later")).empty());
  client.close();
  world.settle();
  CHECK(world.server.connections() == 0);
  world.server.reply(world.echo.last, listen::text_reply(200, "gone"));
  world.settle();
}

TEST_CASE("server: one address has so many connections and no more") {
  World world(free_tcp_port());
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < listen::Server::kPerAddressMax; ++i) {
    clients.push_back(std::make_unique<Client>(world.address));
    REQUIRE(world.until([&] { return world.server.connections() == i + 1; }));
  }
  Client more(world.address);
  CHECK(world.until([&] { return more.ended(); }));
  CHECK(world.server.connections() == listen::Server::kPerAddressMax);
  clients.pop_back();
  CHECK(world.until(
      [&] { return world.server.connections() == listen::Server::kPerAddressMax - 1; }));
  Client again(world.address);
  REQUIRE(
      world.until([&] { return world.server.connections() == listen::Server::kPerAddressMax; }));
  again.send(get("/a"));
  std::string said;
  CHECK(world.until([&] { return (said += again.received()).ends_with("/a|"); }));
}

TEST_CASE("server: senders with a login behind one address are not counted there") {
  World world(free_tcp_port());
  std::vector<std::unique_ptr<Client>> clients;
  const auto connect = [&](std::string_view request) {
    auto& client = *clients.emplace_back(std::make_unique<Client>(world.address));
    REQUIRE(world.until([&] { return world.server.connections() == clients.size(); }));
    client.send(request);
    std::string said;
    REQUIRE(world.until([&] { return (said += client.received()).ends_with("|"); }));
  };
  for (std::size_t i = 0; i < 2 * listen::Server::kPerAddressMax; ++i) connect(get("/login"));
  for (std::size_t i = 0; i < listen::Server::kPerAddressMax; ++i) connect(get("/a"));
  Client more(world.address);
  CHECK(world.until([&] { return more.ended(); }));
  CHECK(world.server.connections() == clients.size());
  // Who has shown a login keeps its connection whatever it asks for next.
  clients.front()->send(get("/a"));
  std::string said;
  CHECK(world.until([&] { return (said += clients.front()->received()).ends_with("/a|"); }));
}

TEST_CASE("server: all together have so many; idle ones give way, and the others wait") {
  World world;
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < listen::Server::kConnectionsMax; ++i) {
    clients.push_back(std::make_unique<Client>(world.address));
    world.settle(1);
  }
  world.settle();
  REQUIRE(world.server.connections() == listen::Server::kConnectionsMax);
  Client waits(world.address);
  CHECK(world.ask(waits, get("/a")).empty());
  CHECK_FALSE(waits.ended());
  CHECK(world.server.connections() == listen::Server::kConnectionsMax);

  CHECK(world.ask(*clients[7], get("/b")).ends_with("/b|"));  // and is idle now
  world.settle();
  CHECK(waits.received().ends_with("/a|"));
  CHECK(clients[7]->ended());
  CHECK(world.server.connections() == listen::Server::kConnectionsMax);
}

TEST_CASE("server: an address that is in use is tried again") {
  World first;
  Echo echo;
  test::FakeClock clock;
  listen::Server second({.address = first.address, .clock = &clock}, echo);
  CHECK_FALSE(second.listen());
  second.step(clock.monotonic_ns());
  CHECK_FALSE(second.is_listening());
  ::unlink(first.address.host.c_str());
  clock.advance(11 * kNsPerSecond);
  second.step(clock.monotonic_ns());
  CHECK(second.is_listening());
}

}  // namespace msp
