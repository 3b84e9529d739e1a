#include "collectors/system_bus.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::size_t kLineBytesMax = 256;
constexpr std::size_t kChunkBytes = 32 << 10;  // what a bus announces is not there yet

}  // namespace

SystemBus::SystemBus(std::string path, std::chrono::milliseconds timeout)
    : path_(std::move(path)),
      deadline_ns_(monotonic_ns() + timeout.count() * kNsPerMs),
      timeout_(timeout) {}

Error SystemBus::error(std::string_view text) const {
  return failed(cat(path_, ": ", text));
}

Result<void> SystemBus::connect() {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path_.size() >= sizeof to.sun_path) return error("longer than a socket's path can be");
  std::memcpy(to.sun_path, path_.data(), path_.size());
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket && errno == EAFNOSUPPORT) {
    return error(
        "the agent's unit allows it no unix sockets; docs/systemd.md says how to allow them");
  }
  if (!socket) return error(errno_text(errno));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    const int reason = errno;
    const auto text = cat("cannot connect: ", errno_text(reason));
    return reason == ENOENT ? no_data(cat(path_, ": ", text)) : error(text);
  }
  return connect(std::move(socket));
}

/// "Authentication Protocol" of the specification. The bus asks the kernel for our user; a name for
/// it could only be wrong, in a user namespace.
Result<void> SystemBus::connect(Fd socket) {
  using namespace std::string_view_literals;
  socket_ = std::move(socket);
  if (auto sent = send("\0AUTH EXTERNAL\r\n"sv); !sent) return sent;
  auto line = receive_line();
  if (line && (*line == "DATA" || *line == "DATA ")) {
    if (auto sent = send("DATA\r\n"); !sent) return sent;
    line = receive_line();
  }
  if (!line) return line.error();
  if (!line->starts_with("OK ")) return error(cat("refuses to log us in: ", quoted(*line, 64)));
  if (auto sent = send("BEGIN\r\n"); !sent) return sent;
  const auto hello =
      call({"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"});
  if (!hello) return hello.error();
  if (hello->type == DbusMessage::kError) {
    return error(cat("refuses us: ", quoted(hello->error_name, kQuotedBytesMax)));
  }
  return {};
}

Result<DbusMessage> SystemBus::call(const DbusCall& call) {
  const auto serial = ++serial_;
  if (auto sent = send(encode_call(serial, call)); !sent) return sent.error();
  for (;;) {
    in_.erase(0, used_);
    used_ = 0;
    if (auto received = receive(kDbusFixedBytes); !received) return received.error();
    const auto bytes =
        dbus_message_bytes(std::string_view(in_).substr(0, kDbusFixedBytes), kReplyBytesMax);
    if (!bytes) return error(cat("sends ", bytes.error().text));
    if (auto received = receive(*bytes); !received) return received.error();
    used_ = *bytes;
    const auto message = parse_dbus_message(std::string_view(in_).substr(0, *bytes));
    if (!message) return error(cat("sends ", message.error().text));
    const bool is_answer =
        message->type == DbusMessage::kReturn || message->type == DbusMessage::kError;
    if (is_answer && message->reply_serial == serial) return *message;
  }
}

Result<void> SystemBus::wait(short events) {
  for (;;) {
    const auto left_ns = deadline_ns_ - monotonic_ns();
    if (left_ns <= 0) return error(cat("no answer within ", timeout_.count(), " ms"));
    pollfd socket{socket_.get(), events, 0};
    const auto left_ms = static_cast<int>(left_ns / kNsPerMs + 1);
    const int ready = ::poll(&socket, 1, left_ms);
    if (ready > 0) return {};
    if (ready < 0 && errno != EINTR) return error(errno_text(errno));
  }
}

Result<void> SystemBus::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto sent =
        ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (auto waited = wait(POLLOUT); !waited) return waited;
    } else if (errno != EINTR) {
      return error(cat("cannot send: ", errno_text(errno)));
    }
  }
  return {};
}

/// Until in_ has that many bytes; more may come.
Result<void> SystemBus::receive(std::size_t bytes) {
  while (in_.size() < bytes) {
    const auto had = in_.size();
    in_.resize(std::max(had + 1, std::min(bytes, had + kChunkBytes)));
    const auto got = ::recv(socket_.get(), in_.data() + had, in_.size() - had, MSG_DONTWAIT);
    const auto reason = errno;
    in_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got == 0) return error("closes the connection");
    if (got > 0 || reason == EINTR) {
      if (monotonic_ns() < deadline_ns_) continue;  // one that never stops sending
    } else if (reason != EAGAIN) {
      return error(cat("cannot receive: ", errno_text(reason)));
    }
    if (auto waited = wait(POLLIN); !waited) return waited;
  }
  return {};
}

/// Without its end.
Result<std::string> SystemBus::receive_line() {
  for (;;) {
    if (const auto end = in_.find("\r\n"); end != in_.npos) {
      auto line = in_.substr(0, end);
      in_.erase(0, end + 2);
      return line;
    }
    if (in_.size() >= kLineBytesMax) return error("sends a line that does not end");
    if (auto received = receive(in_.size() + 1); !received) return received.error();
  }
}

}  // namespace msp::collectors
