#include "collectors/unix_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"

namespace msp::collectors {

UnixClient::UnixClient(std::string path, std::chrono::milliseconds timeout)
    : path_(std::move(path)),
      deadline_ns_(monotonic_ns() + timeout.count() * kNsPerMs),
      timeout_(timeout) {}

Error UnixClient::error(std::string_view text) const {
  return failed(cat(path_, ": ", text));
}

Result<void> UnixClient::connect() {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path_.size() >= sizeof to.sun_path) return error("longer than a socket's path can be");
  std::memcpy(to.sun_path, path_.data(), path_.size());
  socket_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) {
    return error(errno == EAFNOSUPPORT ? "the agent's unit allows it no unix sockets; "
                                         "docs/systemd.md says how to allow them"
                                       : errno_text(errno));
  }
  if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return {};
  const int reason = errno;
  auto failure = error(cat("cannot connect: ", errno_text(reason)));
  if (reason == ENOENT) failure.kind = Error::Kind::no_data;
  return failure;
}

Result<void> UnixClient::wait(short events) {
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

Result<void> UnixClient::send(std::string_view bytes) {
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

Result<bool> UnixClient::receive(std::string& in, std::size_t most) {
  const auto had = in.size();
  for (;;) {
    in.resize(had + most);
    const auto got = ::recv(socket_.get(), in.data() + had, most, MSG_DONTWAIT);
    const auto reason = errno;
    in.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got == 0) return false;
    if (got > 0 && monotonic_ns() < deadline_ns_) return true;
    if (got < 0 && reason != EAGAIN && reason != EINTR) {
      return error(cat("cannot receive: ", errno_text(reason)));
    }
    // One that never stops sending is late here, too.
    if (auto waited = wait(POLLIN); !waited) return waited.error();
  }
}

}  // namespace msp::collectors
