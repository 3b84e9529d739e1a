// What a probe says and waits for on a connection: the test is the server, on loopback, and goes on step
// by step.
#include "agent/sources/probe/tcp_dialog.h"

#include <poll.h>
#include <sys/socket.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.h"

namespace msp {
namespace {

class Server {
 public:
  Server() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(bind(fd_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) == 0);
    REQUIRE(listen(fd_.get(), 1) == 0);
    address_.size = sizeof address_.bytes;
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address_.bytes), &address_.size);
  }

  const http::SocketAddress& address() const { return address_; }
  void accept_connection() {
    connection_ = Fd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(connection_);
  }
  void say(std::string_view bytes) {
    REQUIRE(send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(bytes.size()));
  }
  /// As many bytes as `wanted` has.
  void hears(std::string_view wanted) {
    std::string heard(wanted.size(), '\0');
    REQUIRE(recv(connection_.get(), heard.data(), heard.size(), MSG_WAITALL) ==
            static_cast<ssize_t>(wanted.size()));
    CHECK(heard == wanted);
  }
  void hang_up() { connection_.reset(); }
  void close() { fd_.reset(); }

 private:
  Fd fd_;
  Fd connection_;
  http::SocketAddress address_;
};

sources::TcpDialog::Step step(const char* expect, std::string send = {},
                              std::vector<metrics::Label> labels = {}) {
  sources::TcpDialog::Step made{
      .expect = {}, .send = std::move(send), .starts_tls = false, .labels = labels};
  if (expect != nullptr) made.expect = *PartRegex::compile(expect);
  return made;
}

struct Fixture {
  Server server;
  std::unique_ptr<sources::TcpDialog> dialog;

  explicit Fixture(std::vector<sources::TcpDialog::Step> steps) {
    dialog = std::make_unique<sources::TcpDialog>(std::make_shared<const sources::TcpDialog::Setup>(
        sources::TcpDialog::Setup{.steps = std::move(steps), .tls = {}, .host = "localhost"}));
    REQUIRE(dialog->begin(server.address()).has_value());
  }

  /// As the loop does it: a step when the socket is ready.
  bool go_on() {
    pollfd ready{dialog->fd(), static_cast<short>(dialog->waits_to_write() ? POLLOUT : POLLIN), 0};
    REQUIRE(poll(&ready, 1, 120'000) == 1);
    return dialog->step();
  }
  void finish() {
    while (!go_on()) continue;
  }
};

}  // namespace

TEST_CASE("tcp dialog: lines come in pieces, and what is said has their groups") {
  Fixture f({step("^220 (\\S+)", "EHLO $1\r", {{"server", "<$1>"}, {"rest", "$2"}}),
             step("^250 ", "QUIT\r"), step(nullptr, "$1")});
  CHECK_FALSE(f.go_on());
  f.server.accept_connection();
  for (const char c : std::string_view("220-welcome\r\n220 mail.example ESMTP\r")) {
    f.server.say({&c, 1});
    CHECK_FALSE(f.go_on());
  }
  f.server.say("\n250-more\r\n");
  CHECK_FALSE(f.go_on());
  f.server.hears("EHLO mail.example\r\n");
  f.server.say("250 ok\r\n");
  CHECK(f.go_on());
  f.server.hears("QUIT\r\n$1\n");
  CHECK(f.dialog->is_done());
  CHECK(f.dialog->problem().empty());
  CHECK(f.dialog->handshake() == nullptr);
  REQUIRE(f.dialog->found().size() == 1);
  CHECK(f.dialog->found()[0] ==
        std::vector<metrics::Label>{{"server", "<mail.example>"}, {"rest", ""}});
}

TEST_CASE("tcp dialog: the end of a connection") {
  struct Row {
    std::string_view says;
    bool is_done;
    bool by_regex;
  };
  const Row rows[] = {
      {"wanted", true, false}, {"other\n", false, true}, {"other", false, true}, {"", false, true}};
  for (const auto& row : rows) {
    INFO(row.says);
    Fixture f({step("wanted")});
    CHECK_FALSE(f.go_on());
    f.server.accept_connection();
    f.server.say(row.says);
    f.server.hang_up();
    f.finish();
    CHECK(f.dialog->is_done() == row.is_done);
    CHECK(f.dialog->failed_by_regex() == row.by_regex);
    CHECK(f.dialog->problem().empty() == row.is_done);
  }
}

TEST_CASE("tcp dialog: a server that never stops is given up") {
  const std::string kilobyte(1024, 'x');
  for (const bool has_lines : {false, true}) {
    INFO(has_lines);
    Fixture f({step("wanted")});
    CHECK_FALSE(f.go_on());
    f.server.accept_connection();
    std::size_t said = 0;
    for (bool is_over = false; !is_over; said += kilobyte.size()) {
      REQUIRE(said <= 2 * sources::TcpDialog::kBytesMax);
      f.server.say(has_lines ? cat(kilobyte.substr(1), "\n") : kilobyte);
      is_over = f.go_on();
    }
    CHECK(said <=
          (has_lines ? sources::TcpDialog::kBytesMax : sources::TcpDialog::kLineBytesMax) + 8192);
    CHECK(f.dialog->problem() == (has_lines
                                      ? "the server says more than 1 MiB, and not what is expected"
                                      : "a line of the server has no end"));
    CHECK_FALSE(f.dialog->failed_by_regex());
  }
}

TEST_CASE("tcp dialog: nobody listens") {
  Server gone;
  const auto address = gone.address();
  gone.close();
  sources::TcpDialog dialog(std::make_shared<const sources::TcpDialog::Setup>());
  REQUIRE(dialog.begin(address).has_value());
  while (!dialog.step()) {
    pollfd ready{dialog.fd(), POLLOUT, 0};
    REQUIRE(poll(&ready, 1, 120'000) == 1);
  }
  CHECK(dialog.problem() == "no connection: Connection refused");
  CHECK_FALSE(dialog.is_done());
}

TEST_CASE("tcp dialog: a server that does not read") {
  Fixture f({step(nullptr, std::string(32 << 20, 'y')), step("wanted")});
  CHECK_FALSE(f.dialog->step());
  f.server.accept_connection();
  // As much as the buffers of both ends take, and then it waits.
  while (!f.dialog->step()) {
    pollfd ready{f.dialog->fd(), POLLOUT, 0};
    if (poll(&ready, 1, 0) == 0) break;
  }
  CHECK(f.dialog->waits_to_write());
  f.server.hang_up();
  f.finish();
  CHECK(f.dialog->problem().starts_with("not sent: "));
}

}  // namespace msp
