// Bytes from anywhere as what a system bus says to the collector systemd: no crash, no wait, and an
// answer that keeps its promises, or an error. libFuzzer takes LLVMFuzzerTestOneInput as it is;
// without it this is a program:
//
//     bus_fuzz [--runs=N] [--seed=N]
//
// mutates a conversation with a systemd that is made here.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>

#include "agent/base/text.h"
#include "collectors/systemd_units.h"
#include "tests/support/scripted_bus.h"

namespace {

std::uint64_t g_answers = 0;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "bus_fuzz: %s\n", what);
  std::abort();
}

void check(const msp::collectors::SystemdUnits& units) {
  ++g_answers;
  require(msp::is_utf8(units.version) && msp::is_utf8(units.system_state), "a text is not UTF-8");
  require(units.states.size() < 17, "more states than there can be");
  require(units.units.size() <= msp::collectors::SystemdUnits::kWantedMax,
          "more units than are wanted");
  for (const auto& unit : units.units) {
    require(msp::is_utf8(unit.name) && msp::is_printable(unit.type), "a label is no text");
    require(!unit.name.empty() && unit.name.size() < 257, "a name is too long");
    require((unit.control_group + "/").find("/../") == std::string::npos,
            "a control group leads out of its folder");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  int pair[2];
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0, "no sockets");
  const msp::Fd bus(pair[1]);
  const int bytes = 1 << 20;
  ::setsockopt(bus.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
  static_cast<void>(!::send(bus.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT));
  ::shutdown(bus.get(), SHUT_WR);
  msp::collectors::SystemBus client("bus", std::chrono::seconds(10));
  if (!client.connect(msp::Fd(pair[0]))) return 0;
  const auto units = msp::collectors::ask_systemd(client, {});
  if (units) check(*units);
  if (!units) require(msp::is_printable(units.error().text), "an error is no line");
  if (!units) require(units.error().text.find("no answer within") == std::string::npos, "a wait");
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

std::string conversation() {
  char name[] = "/tmp/msp-agent-bus-fuzz-XXXXXX";
  const std::filesystem::path folder = ::mkdtemp(name);
  std::string said;
  {
    const msp::test::ScriptedBus bus(
        folder / "socket",
        "version 252.39\nstate running\nunit a.service loaded active simple 1 /system.slice/a\n"
        "unit b.mount loaded failed ext4\nunit c.socket loaded reloading\n");
    msp::collectors::SystemBus client(folder / "socket", std::chrono::seconds(10));
    require(client.connect().has_value() && msp::collectors::ask_systemd(client, {}).has_value(),
            "no answer");
    said = bus.said();
  }
  std::filesystem::remove_all(folder);
  return said;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  std::string of(std::string bytes) {
    for (auto left = 1 + below(3); left > 0; --left) harm(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& bytes) {
    const auto at = below(bytes.size());
    constexpr unsigned char kBytes[] = {0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 'B', 'l', 's', '/'};
    switch (below(5)) {
      case 0:
        bytes.erase(at, 1 + below(16));
        break;
      case 1:
        bytes.insert(at, bytes.substr(below(bytes.size()), below(32)));
        break;
      case 2:
        bytes.resize(at);
        break;
      default:
        if (!bytes.empty()) bytes[at] = static_cast<char>(kBytes[below(std::size(kBytes))]);
    }
  }

  std::mt19937_64 random_;
};

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 10'000, seed = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument(argv[i]);
    const auto value = argument.substr(std::min(argument.find('=') + 1, argument.size()));
    const auto number = msp::parse_number<std::uint64_t>(value);
    const bool is_runs = argument.starts_with("--runs="), is_seed = argument.starts_with("--seed=");
    if (!number || (!is_runs && !is_seed)) {
      std::fprintf(stderr, "usage: bus_fuzz [--runs=N] [--seed=N]\n");
      return 2;
    }
    (is_runs ? runs : seed) = *number;
  }
  const auto whole = conversation();
  Mutator mutator(seed);
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto bytes = run == 0 ? whole : mutator.of(whole);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  require(g_answers > 0, "no conversation was good");
  std::printf("bus_fuzz: %llu runs, %llu answers\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(g_answers));
}
#endif
