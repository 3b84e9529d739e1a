// What a bus can do to the collector systemd, and how often the collector asks.
#include <catch2/catch.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

#include "agent/base/text.h"
#include "collectors/systemd_units.h"
#include "tests/support/collect.h"
#include "tests/support/collector_options.h"
#include "tests/support/scripted_bus.h"

namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace msp::test {
namespace {

constexpr auto kScript =
    "version 252.39\nstate running\n"
    "unit nginx.service loaded active forking 2 /system.slice/nginx.service\n"
    "unit srv.mount loaded failed nfs4\nunit x.service loaded inactive\n";
constexpr auto kLong = 120s;

struct Folder {
  Folder() {
    char name[] = "/tmp/msp-agent-bus-XXXXXX";
    path = mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  fs::path socket() const { return path / "run/dbus/system_bus_socket"; }
  fs::path path;
};

/// What a bus says in one good conversation.
std::string conversation() {
  const Folder folder;
  const ScriptedBus bus(folder.socket(), kScript);
  collectors::SystemBus client(folder.socket(), kLong);
  REQUIRE(client.connect().has_value());
  REQUIRE(collectors::ask_systemd(client, {}).has_value());
  return bus.said();
}

/// Asks a bus that says this, whatever it is asked, and then closes or is silent.
Result<collectors::SystemdUnits> ask(std::string_view said, bool closes = true,
                                     std::chrono::milliseconds timeout = kLong) {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
  const Fd bus(pair[1]);
  collectors::SystemBus client("bus", timeout);
  REQUIRE(::send(bus.get(), said.data(), said.size(), 0) == static_cast<ssize_t>(said.size()));
  if (closes) ::shutdown(bus.get(), SHUT_WR);
  if (auto connected = client.connect(Fd(pair[0])); !connected) return connected.error();
  return collectors::ask_systemd(client, {});
}

void put(std::string& bytes, std::size_t at, std::uint32_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

}  // namespace

TEST_CASE("systemd's units are read from its answers", "[threads]") {
  const auto units = ask(conversation());
  REQUIRE(units.has_value());
  CHECK(units->version == "252.39");
  CHECK(units->system_state == "running");
  REQUIRE(units->units.size() == 3);
  CHECK(units->units[0].name == "nginx.service");
  CHECK(units->units[0].control_group == "/system.slice/nginx.service");
  CHECK(units->units[0].restarts == 2u);
  CHECK(units->units[1].active_state == "failed");
  CHECK(units->units[1].type == "nfs4");
  CHECK_FALSE(units->units[2].restarts.has_value());
}

TEST_CASE("a conversation that is cut off anywhere is an error", "[threads]") {
  const auto whole = conversation();
  for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
    const auto units = ask(whole.substr(0, bytes));
    INFO("after " << bytes << " bytes");
    REQUIRE_FALSE(units.has_value());
    REQUIRE(units.error().text == "bus: closes the connection");
  }
}

TEST_CASE("whatever a byte of a conversation is, the answer is units or an error", "[threads]") {
  const auto whole = conversation();
  std::size_t errors = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const unsigned char put : {0x00, 0x01, 0x7f, 0xff}) {
      auto bad = whole;
      bad[at] = static_cast<char>(put);
      const auto units = ask(bad);
      if (!units) {
        ++errors;
        REQUIRE(is_printable(units.error().text));
      }
    }
  }
  CHECK(errors > whole.size());
}

TEST_CASE("a length that is too large is an error, and no memory is taken for it", "[threads]") {
  const auto whole = conversation();
  const auto hello = whole.find("OK 0123456789abcdef\r\n") + 21;
  auto bad = whole;
  SECTION("of a body") {
    put(bad, hello + 4, 0x7fffffff);
  }
  SECTION("of a header") {
    put(bad, hello + 12, 0xfffffff8);
  }
  const auto units = ask(bad);
  REQUIRE_FALSE(units.has_value());
  CHECK(units.error().text.find("in all are the limit") != std::string::npos);
}

TEST_CASE("a bus that is silent, or never stops talking, is waited for until the deadline",
          "[threads]") {
  const auto whole = conversation();
  const auto hello = whole.find("OK 0123456789abcdef\r\n") + 21;
  CHECK(ask("", false, 20ms).error().text == "bus: no answer within 20 ms");
  CHECK(ask(whole.substr(0, hello), false, 20ms).error().text == "bus: no answer within 20 ms");
  CHECK(ask(whole.substr(0, hello + 20), false, 20ms).error().text ==
        "bus: no answer within 20 ms");
  CHECK(ask(std::string(300, 'x')).error().text == "bus: sends a line that does not end");
  CHECK(ask("REJECTED EXTERNAL\r\n").error().text ==
        "bus: refuses to log us in: 'REJECTED EXTERNAL'");
}

namespace {

/// The collector on a folder, its ticks one after the other.
struct Ticks {
  explicit Ticks(const Folder& folder)
      : paths{folder.path / "proc", folder.path / "sys", folder.path},
        options(options_of("systemd")) {
    for (const auto& entry : collectors::collector_registry()) {
      if (entry.name == "systemd") {
        collector = entry.make({paths, host, options, files, wakeup, interval});
      }
    }
  }

  std::string tick() {
    builder.begin(writer);
    auto outcome = collect(*collector, {++number, 0}, *wakeup, writer);
    if (outcome) outcome = builder.commit(writer);
    if (!outcome) builder.rollback(writer);
    return outcome ? "" : outcome.error().text;
  }

  const collectors::HostPaths paths;
  const collectors::Host host{};
  const collectors::CollectorOptions options;
  FileTable files;
  const std::shared_ptr<const Wakeup> wakeup = std::make_shared<const Wakeup>();
  const std::chrono::milliseconds interval{200};
  std::unique_ptr<collectors::Collector> collector;
  metrics::ScrapeBuilder builder{metrics::TargetLabels{}};
  metrics::SeriesWriter& writer = builder.add_writer();
  std::uint64_t number = 0;
};

}  // namespace

TEST_CASE("systemd is asked once for many ticks", "[threads]") {
  const Folder folder;
  const ScriptedBus bus(folder.socket(), kScript);
  Ticks ticks(folder);
  while (!ticks.tick().empty()) {  // a busy machine may answer later than half an interval
  }
  for (int i = 0; i < 5; ++i) CHECK(ticks.tick() == "");
  CHECK(ticks.writer.samples() == 5 + 3 * 5 + 1 + 1 + 1);
  CHECK(bus.connections() == 1);
}

TEST_CASE("a bus that accepts nothing costs the collector's samples and half an interval",
          "[threads]") {
  const Folder folder;
  fs::create_directories(folder.socket().parent_path());
  const Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strcpy(at.sun_path, folder.socket().c_str());
  REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(listener.get(), 8) == 0);
  Ticks ticks(folder);
  CHECK(ticks.tick() == folder.socket().string() + ": systemd has not answered yet");
  REQUIRE(ticks.collector->begin({99, 0}).has_value());
  CHECK(ticks.collector->wait_ns() == 0);  // the wait is over, whatever becomes of the question
}

TEST_CASE("no bus is no data", "[threads]") {
  const Folder folder;
  Ticks ticks(folder);
  const auto wanted = folder.socket().string() + ": cannot connect: No such file or directory";
  std::string error;
  for (int i = 0; i < 1000 && error != wanted; ++i) error = ticks.tick();
  CHECK(error == wanted);
}

}  // namespace msp::test
