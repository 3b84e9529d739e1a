#include "collectors/system_bus.h"

#include <algorithm>

#include "agent/base/text.h"

namespace msp::collectors {
namespace {

constexpr std::size_t kLineBytesMax = 256;
constexpr std::size_t kChunkBytes = 32 << 10;  // what a bus announces is not there yet

}  // namespace

Result<void> SystemBus::connect() {
  auto connected = client_.connect();
  return connected ? log_in() : connected;
}

Result<void> SystemBus::connect(Fd socket) {
  client_.use(std::move(socket));
  return log_in();
}

/// "Authentication Protocol" of the specification. The bus asks the kernel for our user; a name for
/// it could only be wrong, in a user namespace.
Result<void> SystemBus::log_in() {
  using namespace std::string_view_literals;
  if (auto sent = client_.send("\0AUTH EXTERNAL\r\n"sv); !sent) return sent;
  auto line = receive_line();
  if (line && (*line == "DATA" || *line == "DATA ")) {
    if (auto sent = client_.send("DATA\r\n"); !sent) return sent;
    line = receive_line();
  }
  if (!line) return line.error();
  if (!line->starts_with("OK "))
    return client_.error(cat("refuses to log us in: ", quoted(*line, 64)));
  if (auto sent = client_.send("BEGIN\r\n"); !sent) return sent;
  const auto hello =
      call({"org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello"});
  if (!hello) return hello.error();
  if (hello->type == DbusMessage::kError) {
    return client_.error(cat("refuses us: ", quoted(hello->error_name, kQuotedBytesMax)));
  }
  return {};
}

Result<DbusMessage> SystemBus::call(const DbusCall& call) {
  const auto serial = ++serial_;
  if (auto sent = client_.send(encode_call(serial, call)); !sent) return sent.error();
  for (;;) {
    in_.erase(0, used_);
    used_ = 0;
    if (auto received = receive(kDbusFixedBytes); !received) return received.error();
    const auto bytes =
        dbus_message_bytes(std::string_view(in_).substr(0, kDbusFixedBytes), kReplyBytesMax);
    if (!bytes) return client_.error(cat("sends ", bytes.error().text));
    if (auto received = receive(*bytes); !received) return received.error();
    used_ = *bytes;
    const auto message = parse_dbus_message(std::string_view(in_).substr(0, *bytes));
    if (!message) return client_.error(cat("sends ", message.error().text));
    const bool is_answer =
        message->type == DbusMessage::kReturn || message->type == DbusMessage::kError;
    if (is_answer && message->reply_serial == serial) return *message;
  }
}

/// Until in_ has that many bytes; more may come.
Result<void> SystemBus::receive(std::size_t bytes) {
  while (in_.size() < bytes) {
    const auto more = client_.receive(in_, std::min(bytes - in_.size(), kChunkBytes));
    if (!more) return more.error();
    if (!*more) return client_.error("closes the connection");
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
    if (in_.size() >= kLineBytesMax) return client_.error("sends a line that does not end");
    if (auto received = receive(in_.size() + 1); !received) return received.error();
  }
}

}  // namespace msp::collectors
