#include "agent/sources/probe/tcp_dialog.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr std::size_t kChunkBytes = 4096;

bool would_wait(int error) {
  return error == EAGAIN || error == EINTR || error == EINPROGRESS || error == EALREADY;
}

}  // namespace

Result<void> TcpDialog::begin(const http::SocketAddress& to) {
  const auto& steps = setup_->steps;
  const bool has_tls =
      setup_->begins_tls || std::ranges::any_of(steps, [](const Step& s) { return s.starts_tls; });
  if (has_tls) {
    auto made = http::TlsClient::make(setup_->tls);
    if (!made) return made.error();
    tls_ = std::move(*made);
  }
  socket_ = Fd(socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket_) return failed(cat("no socket: ", errno_text(errno)));
  to_ = to;
  return {};
}

bool TcpDialog::waits_to_write() const {
  return state_ == State::connects || state_ == State::sends ||
         (session_ && session_->wants_write());
}

/// Each state goes on by itself to the next one; false: it waits for the socket.
bool TcpDialog::step() {
  for (;;) {
    if (is_done_ || !problem_.empty()) return true;
    bool goes_on = false;
    switch (state_) {
      case State::connects:
        goes_on = connects();
        break;
      case State::shakes_hands:
        goes_on = shakes_hands();
        break;
      case State::expects:
        goes_on = expects();
        break;
      case State::sends:
        goes_on = sends();
        break;
    }
    if (!goes_on && problem_.empty()) return false;
  }
}

bool TcpDialog::connects() {
  if (connect(socket_.get(), to_.get(), to_.size) != 0 && errno != EISCONN) {
    return !would_wait(errno) && fail(cat("no connection: ", errno_text(errno)));
  }
  setup_->begins_tls ? begin_tls() : begin_step();
  return true;
}

void TcpDialog::begin_tls() {
  received_.clear();  // what came before it is nobody's word
  state_ = State::shakes_hands;
  session_ = tls_->connect(socket_.get(), setup_->host);
  if (session_ == nullptr) fail("no memory for TLS");
}

bool TcpDialog::shakes_hands() {
  const auto outcome = session_->shake_hands();
  if (outcome < 0 && would_wait(errno)) return false;
  if (outcome == 1) {
    // Of the first step, or of the one that has just begun it.
    setup_->begins_tls ? begin_step() : end_step();
    return true;
  }
  const auto why = tls_->problem_of(*session_);
  return fail(cat("no TLS connection: ", why.empty() ? "it was closed" : why));
}

void TcpDialog::begin_step() {
  if (at_ == setup_->steps.size()) {
    if (session_) session_->end();
    is_done_ = true;
    return;
  }
  const auto& step = setup_->steps[at_];
  state_ = step.expect ? State::expects : State::sends;
  if (!step.expect && !step.send.empty()) to_send_ = cat(step.send, "\n");
}

void TcpDialog::end_step() {
  ++at_;
  begin_step();
}

bool TcpDialog::expects() {
  for (;;) {
    const auto end = received_.find('\n');
    if (end == std::string::npos && !is_closed_) {
      if (received_.size() > kLineBytesMax) return fail("a line of the server has no end");
      if (!fill()) return false;
      continue;
    }
    if (end == std::string::npos && received_.empty()) {
      failed_by_regex_ = true;
      return fail(
          cat("the connection was closed before a line that query_response[", at_, "] expects"));
    }
    auto line = std::string_view(received_).substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const bool matches = take_line(line);
    received_.erase(0, end == std::string::npos ? end : end + 1);
    if (matches) return true;
  }
}

bool TcpDialog::take_line(std::string_view line) {
  const auto& step = setup_->steps[at_];
  auto text = step.expect->expand(line, step.send);
  if (!text) return false;
  if (!step.labels.empty()) {
    auto& labels = found_.emplace_back();
    for (const auto& [name, value] : step.labels) {
      labels.push_back({name, step.expect->expand(line, value).value_or("")});
    }
  }
  to_send_ = text->empty() ? std::string() : cat(*text, "\n");
  state_ = State::sends;
  return true;
}

/// False: there is nothing yet, or it has failed.
bool TcpDialog::fill() {
  const auto before = received_.size();
  received_.resize(before + kChunkBytes);
  auto* const to = received_.data() + before;
  const auto size =
      session_ ? session_->read(to, kChunkBytes) : recv(socket_.get(), to, kChunkBytes, 0);
  const int error = errno;
  received_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  if (size < 0) {
    if (!would_wait(error)) fail(cat("no answer: ", errno_text(error)));
    return false;
  }
  is_closed_ = size == 0;
  bytes_ += static_cast<std::size_t>(size);
  return bytes_ <= kBytesMax || fail("the server says more than 1 MiB, and not what is expected");
}

bool TcpDialog::sends() {
  while (!to_send_.empty()) {
    const auto sent = session_
                          ? session_->write(to_send_)
                          : send(socket_.get(), to_send_.data(), to_send_.size(), MSG_NOSIGNAL);
    if (sent < 0) return !would_wait(errno) && fail(cat("not sent: ", errno_text(errno)));
    to_send_.erase(0, static_cast<std::size_t>(sent));
  }
  if (setup_->steps[at_].starts_tls) {
    begin_tls();
  } else {
    end_step();
  }
  return true;
}

/// False.
bool TcpDialog::fail(std::string problem) {
  problem_ = std::move(problem);
  return false;
}

}  // namespace msp::sources
