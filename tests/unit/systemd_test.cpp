#include "agent/run/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp {
namespace {

/// The service manager's end of the socket.
class Manager {
 public:
  explicit Manager(std::string address) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, address.data(), address.size());
    if (at.sun_path[0] == '@') at.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&at), size) == 0);
  }

  /// The next message, empty where there is none.
  std::string read() {
    char text[8192];
    const auto size = ::recv(socket_.get(), text, sizeof text, MSG_DONTWAIT);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
  }

 private:
  Fd socket_;
};

struct Folder {
  Folder() { REQUIRE(::mkdtemp(path) != nullptr); }
  ~Folder() { std::filesystem::remove_all(path); }
  char path[32] = "/tmp/msp-agent-test-XXXXXX";
};

struct Variable {
  Variable(const char* name, const std::string& value) : name(name) {
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { ::unsetenv(name); }
  const char* name;
};

}  // namespace

TEST_CASE("a message is one datagram of assignments") {
  const Folder folder;
  const auto address = cat(folder.path, "/notify");
  Manager manager(address);
  run::Notify notify(address, 0);
  CHECK(notify.listened_to());
  CHECK(notify.send({.ready = true, .alive = true, .status = "delivering"}));
  CHECK(manager.read() == "READY=1\nWATCHDOG=1\nSTATUS=delivering\n");
  CHECK(notify.send({.stopping = true}));
  CHECK(manager.read() == "STOPPING=1\n");
}

TEST_CASE("an abstract name is one without a file") {
  const auto address = cat("@msp-agent-test-", ::getpid());
  Manager manager(address);
  CHECK(run::Notify(address, 0).send({.ready = true}));
  CHECK(manager.read() == "READY=1\n");
}

TEST_CASE("a reload carries the monotonic time, in microseconds") {
  const Folder folder;
  const auto address = cat(folder.path, "/notify");
  Manager manager(address);
  const auto before_us = monotonic_ns() / 1000;
  CHECK(run::Notify(address, 0).send({.reloading = true}));
  const auto message = manager.read();
  const std::string begins = "RELOADING=1\nMONOTONIC_USEC=";
  REQUIRE(message.starts_with(begins));
  const auto digits = message.substr(begins.size(), message.size() - begins.size() - 1);
  const auto said_us = parse_number<std::int64_t>(digits);
  REQUIRE(said_us);
  CHECK(*said_us >= before_us);
  CHECK(*said_us <= monotonic_ns() / 1000);
}

TEST_CASE("a server's words cannot become assignments, nor a status too long to be taken") {
  const Folder folder;
  const auto address = cat(folder.path, "/notify");
  Manager manager(address);
  run::Notify notify(address, 0);
  CHECK(notify.send({.status = "HTTP 503: sorry\r\nMAINPID=1\n\xff"}));
  CHECK(manager.read() == "STATUS=HTTP 503: sorry  MAINPID=1 \xEF\xBF\xBD\n");
  CHECK(notify.send({.status = std::string(9999, 'x')}));
  CHECK(manager.read().size() <= 4096);
}

TEST_CASE("a manager that does not read is not waited for") {
  const Folder folder;
  const auto address = cat(folder.path, "/notify");
  Manager manager(address);
  run::Notify notify(address, 0);
  int sent = 0;
  while (sent < 100'000 && notify.send({.alive = true})) ++sent;
  CHECK(sent < 100'000);
  CHECK_FALSE(manager.read().empty());
  CHECK(notify.send({.alive = true}));
}

TEST_CASE("without a manager nothing is sent and nothing is wrong") {
  for (const auto* address : {"", "relative/path", "@", "vsock:2:1234"}) {
    run::Notify notify(address, 0);
    CHECK_FALSE(notify.listened_to());
    CHECK(notify.send({.ready = true}));
  }
  CHECK_FALSE(run::Notify(std::string("/") + std::string(200, 'x'), 0).listened_to());
}

TEST_CASE("a manager that is gone is told of as a failure") {
  const Folder folder;
  run::Notify notify(cat(folder.path, "/nobody"), 0);
  CHECK_FALSE(notify.send({.ready = true}));
}

TEST_CASE("the environment says where the manager listens and how long it waits") {
  const Folder folder;
  const Variable socket("NOTIFY_SOCKET", cat(folder.path, "/notify"));
  CHECK(run::Notify::from_environment().listened_to());
  CHECK(run::Notify::from_environment().watchdog_ns() == 0);
  const Variable watchdog("WATCHDOG_USEC", "120000000");
  CHECK(run::Notify::from_environment().watchdog_ns() == 120 * kNsPerSecond);
  {
    const Variable pid("WATCHDOG_PID", cat(::getpid()));
    CHECK(run::Notify::from_environment().watchdog_ns() == 120 * kNsPerSecond);
  }
  {
    const Variable pid("WATCHDOG_PID", "1");
    CHECK(run::Notify::from_environment().watchdog_ns() == 0);
  }
  for (const auto* nonsense : {"", "0", "-1", "99999999999999999999", "2min"}) {
    const Variable odd("WATCHDOG_USEC", nonsense);
    CHECK(run::Notify::from_environment().watchdog_ns() == 0);
  }
}

}  // namespace msp
