#include "agent/run/systemd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::run {
namespace {

// The manager reads no more than 4096 bytes of a message; a terminal shows less.
constexpr std::size_t kStatusBytesMax = 1000;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// One line of valid UTF-8. A status repeats words of a server; a line break in them would begin
/// another assignment, and the manager believes those.
std::string one_line(std::string_view text) {
  std::string line(text.substr(0, kStatusBytesMax));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) c = ' ';
  }
  make_utf8(line);
  return line;
}

}  // namespace

Notify::Notify(std::string_view address, std::int64_t watchdog_ns)
    : address_(address), watchdog_ns_(watchdog_ns) {
  const bool is_path = address_.starts_with('/');
  const bool is_abstract = address_.starts_with('@') && address_.size() > 1;
  if (!is_path && !is_abstract) return;
  if (address_.size() >= sizeof(sockaddr_un::sun_path)) return;
  if (is_abstract) address_.front() = '\0';
  // Half of a pair, which sends to any address: the unit refuses socket(AF_UNIX), so that nobody
  // who gets into this process speaks to the host's other services.
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0) return;
  socket_ = Fd(pair[0]);
  ::close(pair[1]);
}

Notify Notify::from_environment() {
  const auto for_pid = variable("WATCHDOG_PID");
  const bool for_us = for_pid.empty() || parse_number<pid_t>(for_pid) == ::getpid();
  const auto watchdog_us = parse_number<std::uint64_t>(variable("WATCHDOG_USEC"));
  constexpr std::uint64_t kLongestUs = 1'000'000'000'000;  // in nanoseconds it is still a number
  const bool watched = for_us && watchdog_us && *watchdog_us > 0 && *watchdog_us <= kLongestUs;
  return {variable("NOTIFY_SOCKET"), watched ? static_cast<std::int64_t>(*watchdog_us) * 1000 : 0};
}

bool Notify::send(const Message& message) {
  if (!listened_to()) return true;
  std::string text;
  if (message.ready) text += "READY=1\n";
  // The time tells the manager which of several reloads this is (Type=notify-reload).
  if (message.reloading) text += cat("RELOADING=1\nMONOTONIC_USEC=", monotonic_ns() / 1000, "\n");
  if (message.stopping) text += "STOPPING=1\n";
  if (message.alive) text += "WATCHDOG=1\n";
  if (!message.status.empty()) text += cat("STATUS=", one_line(message.status), "\n");
  if (text.empty()) return true;

  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, address_.data(), address_.size());
  const auto size = offsetof(sockaddr_un, sun_path) + address_.size();
  return ::sendto(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&to),
                  static_cast<socklen_t>(size)) == static_cast<ssize_t>(text.size());
}

}  // namespace msp::run
