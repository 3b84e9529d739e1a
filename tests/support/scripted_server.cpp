#include "tests/support/scripted_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <stdexcept>

#include "agent/base/text.h"

namespace msp::test {

ClosedPort::ClosedPort() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd_.get(), any, size) != 0 || getsockname(fd_.get(), any, &size) != 0) {
    throw std::runtime_error("closed port: " + errno_text(errno));
  }
  number_ = ntohs(address.sin_port);
}

ScriptedServer::ScriptedServer(std::vector<Answer> answers)
    : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), answers_(std::move(answers)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  listen_on(any, size);
  getsockname(listener_.get(), any, &size);
  port_ = ntohs(address.sin_port);
}

ScriptedServer::ScriptedServer(std::vector<Answer> answers, const std::string& unix_path)
    : unix_path_(unix_path),
      listener_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      answers_(std::move(answers)) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  unix_path.copy(address.sun_path, sizeof address.sun_path - 1);
  listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

void ScriptedServer::listen_on(const sockaddr* address, std::size_t size) {
  int stop[2];
  if (bind(listener_.get(), address, static_cast<socklen_t>(size)) != 0 ||
      listen(listener_.get(), 16) != 0 || pipe(stop) != 0) {
    throw std::runtime_error("scripted server: " + errno_text(errno));
  }
  stop_read_ = Fd(stop[0]);
  stop_write_ = Fd(stop[1]);
  thread_ = std::thread([this] { serve(); });
}

ScriptedServer::~ScriptedServer() {
  stop_write_.reset();  // every wait() ends
  thread_.join();
  if (!unix_path_.empty()) unlink(unix_path_.c_str());
}

void ScriptedServer::add(Answer answer) {
  const std::lock_guard lock(mutex_);
  answers_.push_back(std::move(answer));
}

std::vector<ScriptedServer::Request> ScriptedServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

std::string ScriptedServer::url(const std::string& path, const std::string& host) const {
  return cat("http://", host, ":", port_, path);
}

/// False: the server is to stop, or the time is over.
bool ScriptedServer::wait(int fd, short events, int timeout_ms) {
  pollfd fds[] = {{fd, events, 0}, {stop_read_.get(), POLLIN, 0}};
  return poll(fds, 2, timeout_ms) > 0 && fds[1].revents == 0;
}

void ScriptedServer::serve() {
  for (int connection = 1; wait(listener_.get(), POLLIN); ++connection) {
    const Fd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client) talk(client.get(), connection);
  }
}

void ScriptedServer::talk(int client, int connection) {
  for (;;) {
    if (!wait(client, POLLIN)) return;
    const auto script = [&] {
      const std::lock_guard lock(mutex_);
      return answered_ < answers_.size() ? answers_[answered_] : answer("204 No Content");
    }();
    if (script.reads_first && !read_request(client, connection)) return;
    ++answered_;
    if (!write(client, script) || script.closes) return;
  }
}

bool ScriptedServer::read_request(int client, int connection) {
  std::string text;
  std::size_t wanted = std::string::npos;
  std::size_t head_size = 0;
  while (text.size() < wanted) {
    char part[16 * 1024];
    if (!wait(client, POLLIN)) return false;
    const auto got = recv(client, part, sizeof part, 0);
    if (got <= 0) return false;
    text.append(part, static_cast<std::size_t>(got));
    const auto end = text.find("\r\n\r\n");
    if (wanted != std::string::npos || end == std::string::npos) continue;
    head_size = end + 4;
    const auto length = text.find("Content-Length: ");
    wanted = head_size;
    if (length < end) wanted += std::stoul(text.substr(length + 16));
  }
  const std::lock_guard lock(mutex_);
  requests_.push_back({connection, text.substr(0, head_size), text.substr(head_size)});
  return true;
}

bool ScriptedServer::write(int client, const Answer& answer) {
  const auto all = [&](std::string_view bytes) {
    while (!bytes.empty()) {
      if (!wait(client, POLLOUT)) return false;
      const auto sent = send(client, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  };
  if (!all(answer.text)) return false;
  if (answer.repeated.empty()) return true;
  for (std::uint64_t i = 0; i < answer.repeats; ++i) {
    const auto pause_ms = static_cast<int>(answer.pause.count());
    // Whatever the client says here, most likely that it is gone, ends the pause.
    if (pause_ms > 0 && wait(client, POLLRDHUP, pause_ms)) return false;
    if (!all(answer.repeated)) return false;
  }
  return true;
}

}  // namespace msp::test
