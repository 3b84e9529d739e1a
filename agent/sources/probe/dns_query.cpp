#include "agent/sources/probe/dns_query.h"

#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr std::size_t kMessageBytesMax = UINT16_MAX;
constexpr std::size_t kLengthBytes = 2;  // in front of a message over TCP

bool would_wait(int error) {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

std::size_t length_of(std::string_view begin) {
  return static_cast<std::size_t>(static_cast<unsigned char>(begin[0])) << 8 |
         static_cast<unsigned char>(begin[1]);
}

}  // namespace

Result<void> DnsQuery::begin(const http::SocketAddress& to) {
  begun_ns_ = monotonic_ns();
  std::uint16_t id = 0;
  if (getrandom(&id, sizeof id, GRND_NONBLOCK) < 0) {
    return failed(cat("no random numbers from the kernel: ", errno_text(errno)));
  }
  auto request = dns_request(question_, id);
  if (!request) return failed("query_name is no domain name");
  const int type = (uses_tcp_ ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  socket_ = Fd(socket(to.family(), type, 0));
  if (!socket_) return failed(cat("no socket: ", errno_text(errno)));
  request_ = std::move(*request);
  if (uses_tcp_) {
    const auto size = request_.size();
    request_.insert(0, {static_cast<char>(size >> 8), static_cast<char>(size)});
  }
  to_send_ = request_.size();
  if (connect(socket_.get(), to.get(), to.size) != 0 && errno != EINPROGRESS) {
    fail("no connection", errno);
  }
  return {};
}

bool DnsQuery::step() {
  if (!problem_.empty()) return true;
  if (to_send_ > 0 && (send_rest() || to_send_ > 0)) return !problem_.empty();
  return uses_tcp_ ? receive_stream() : receive_datagrams();
}

/// True: it has failed.
bool DnsQuery::send_rest() {
  const auto rest = std::string_view(request_).substr(request_.size() - to_send_);
  const auto sent = send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
  if (sent < 0)
    return !would_wait(errno) && fail(connected_ns_ ? "not sent" : "no connection", errno);
  if (!connected_ns_) connected_ns_ = monotonic_ns() - begun_ns_;
  to_send_ -= static_cast<std::size_t>(sent);
  return false;
}

bool DnsQuery::receive_datagrams() {
  // On the heap: it is half of a thread's small stack.
  const auto buffer = std::make_unique_for_overwrite<char[]>(kMessageBytesMax);
  for (;;) {
    const auto size = recv(socket_.get(), buffer.get(), kMessageBytesMax, 0);
    if (size < 0) return !would_wait(errno) && fail("no answer", errno);
    const std::string_view message(buffer.get(), static_cast<std::size_t>(size));
    if (!answers(message, request_)) continue;  // somebody else's guess
    take(std::string(message));
    return true;
  }
}

bool DnsQuery::receive_stream() {
  for (;;) {
    const auto wanted = kLengthBytes + (received_.size() < kLengthBytes ? 0 : length_of(received_));
    const auto before = received_.size();
    if (before == wanted && before > kLengthBytes) break;
    if (before == wanted) return fail("an empty answer", 0);
    received_.resize(wanted);
    const auto size = recv(socket_.get(), received_.data() + before, wanted - before, 0);
    const int error = errno;
    received_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    if (size < 0) return !would_wait(error) && fail("no answer", error);
    if (size == 0) return fail("the connection was closed before the answer", 0);
  }
  const auto message = std::string_view(received_).substr(kLengthBytes);
  if (!answers(message, std::string_view(request_).substr(kLengthBytes))) {
    return fail("the answer is to another question", 0);
  }
  take(std::string(message));
  return true;
}

void DnsQuery::take(std::string message) {
  auto parsed = DnsAnswer::parse(std::move(message));
  if (parsed) {
    answer_ = std::move(*parsed);
  } else {
    problem_ = parsed.error().text;
  }
}

/// True.
bool DnsQuery::fail(std::string_view what, int error) {
  problem_ = error == 0 ? std::string(what) : cat(what, ": ", errno_text(error));
  return true;
}

}  // namespace msp::sources
