#include "agent/listen/server.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <span>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/listen/request_parser.h"

namespace msp::listen {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr int kAcceptsPerStep = 16;
constexpr int kEventsPerStep = 64;
constexpr std::int64_t kListenAgainNs = 10 * kNsPerSecond;
constexpr std::int64_t kAcceptAgainNs = kNsPerSecond;
// What a client still sends behind an answer is read and thrown away for a moment: a connection that
// is closed with bytes unread is reset, and the answer may be lost with it.
constexpr std::int64_t kLingerNs = kNsPerSecond;
constexpr std::size_t kLingerBytesMax = 256 * 1024;

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Internal Server Error";
  }
}

/// RFC 9110, section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
std::string date_text(std::int64_t wall_ns) {
  const std::time_t now = wall_ns / kNsPerSecond;
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

/// What counts as one address: of IPv6 the network that a host has. Empty: a socket of this host.
std::string address_of(const sockaddr_storage& peer) {
  if (peer.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(peer);
    return {reinterpret_cast<const char*>(&in.sin_addr), sizeof in.sin_addr};
  }
  if (peer.ss_family != AF_INET6) return {};
  const auto& in6 = reinterpret_cast<const sockaddr_in6&>(peer).sin6_addr;
  const auto* const bytes = reinterpret_cast<const char*>(in6.s6_addr);
  return IN6_IS_ADDR_V4MAPPED(&in6) ? std::string(bytes + 12, 4) : std::string(bytes, 8);
}

}  // namespace

class Server::Connection {
 public:
  enum class State {
    request,  // more of it is needed
    waiting,  // for reply()
    answer,   // is being sent
    linger,
    closed,
  };

  /// `tls` is of the same socket; null: none.
  Connection(Fd fd, std::unique_ptr<http::TlsSession> tls, std::uint64_t id, std::string address,
             std::int64_t now_ns, Bodies& bodies)
      : id(id),
        address(std::move(address)),
        deadline_ns(now_ns + kHeadNs),
        fd_(std::move(fd)),
        tls_(std::move(tls)),
        bodies_(bodies) {}
  ~Connection() { expect_body(0); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int fd() const { return fd_.get(); }

  std::uint32_t events() const {
    if (state == State::answer || (state == State::request && tls_ && tls_->wants_write()))
      return EPOLLOUT;
    if (state == State::request || state == State::linger) return EPOLLIN;
    return 0;
  }

  /// Between two requests: nobody loses anything by its end.
  bool is_idle() const {
    return state == State::request && number > 0 && input_.empty() && !began_;
  }

  /// False: nothing is there for now.
  bool read(std::int64_t now_ns) {
    char bytes[kReadBytes];
    const bool is_tls = tls_ && state == State::request;  // what lingers is thrown away as it is
    const auto got =
        is_tls ? tls_->read(bytes, sizeof bytes) : ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got < 0) {
      if (errno != EAGAIN && errno != EINTR) state = State::closed;
      return false;
    }
    if (got == 0) {
      ended_ = true;
      if (state == State::linger) state = State::closed;
      return true;
    }
    if (state == State::linger) {
      lingered_ += static_cast<std::size_t>(got);
      if (lingered_ > kLingerBytesMax) state = State::closed;
      return true;
    }
    input_.append(bytes, static_cast<std::size_t>(got));
    if (!began_) {
      began_ = true;
      deadline_ns = now_ns + kHeadNs;
    }
    return true;
  }

  /// As far as the bytes go that are there.
  void parse(RequestHandler& handler, Server& server, std::int64_t now_ns) {
    while (state == State::request) {
      const auto before = parser_->state();
      const auto parsed = parser_->put(input_);
      if (parsed == RequestParser::State::bad) {
        auto reply = text_reply(parser_->status(), std::string(parser_->problem()));
        reply.closes = true;
        if (looked_) handler.on_refused(parser_->head(), reply.status);
        return answer(std::move(reply), server);
      }
      if (parsed == RequestParser::State::done) {
        state = State::waiting;
        deadline_ns = kNeverNs;
        expect_body(0);
        handler.handle(parser_->head(), parser_->body(), {id, number}, server);
        parser_->body() = {};
        return;
      }
      if (before != RequestParser::State::head || parsed == before) break;
      if (auto refused = look_at_head(handler, now_ns)) {
        return answer(std::move(*refused), server);
      }
    }
    if (state == State::request && ended_) state = State::closed;
    if (input_.empty()) input_ = {};
  }

  void answer(HttpReply reply, Server& server) {
    expect_body(0);
    ++server.setup_.stats->requests;
    if (reply.status >= 400) ++server.setup_.stats->refused;
    const bool is_empty = reply.status == 204;
    const bool closes = reply.closes || ended_ || parser_->state() != RequestParser::State::done ||
                        !parser_->head().keeps_alive;
    const auto size = reply.body ? reply.body->size() : 0;
    output_ += cat("HTTP/1.1 ", reply.status, " ", reason_of(reply.status),
                   "\r\nDate: ", date_text(server.clock().wall_ns()), "\r\n");
    if (!is_empty) {
      output_ += cat("Content-Type: ", reply.content_type, "\r\nContent-Length: ", size, "\r\n");
    }
    for (const auto& field : reply.fields) output_ += cat(field, "\r\n");
    output_ += closes ? "Connection: close\r\n\r\n" : "\r\n";
    if (!is_empty && parser_->head().method != "HEAD") body_ = std::move(reply.body);
    closes_ = closes;
    state = State::answer;
    deadline_ns = server.clock().monotonic_ns() + kAnswerNs;
  }

  /// False: not all of it has gone.
  bool write(std::int64_t now_ns) {
    if (!output_.empty() && !send(output_)) return false;
    output_ = {};
    if (body_ && !send(*body_)) return false;
    body_.reset();
    if (closes_) {
      if (tls_) tls_->end();
      ::shutdown(fd_.get(), SHUT_WR);
      state = ended_ ? State::closed : State::linger;
      deadline_ns = now_ns + kLingerNs;
      input_.clear();
      return true;
    }
    parser_.emplace();
    ++number;
    state = State::request;
    began_ = !input_.empty();
    looked_ = false;
    deadline_ns = now_ns + (began_ ? kHeadNs : kIdleNs);
    return true;
  }

  /// Its time is up, or it is too slow.
  void look_at_time(Server& server, std::int64_t now_ns) {
    if (state == State::request && looked_) {
      const auto took_ns = now_ns - body_began_ns_;
      const auto wanted = kBytesPerSecondMin * (took_ns / kNsPerMs) / 1000;
      if (took_ns > kGraceNs && static_cast<std::int64_t>(parser_->body_bytes()) < wanted)
        deadline_ns = now_ns;
    }
    if (now_ns < deadline_ns) return;
    if (state != State::request || !began_) {
      state = State::closed;
      return;
    }
    // Not 408: Prometheus and Alloy destroy what they sent at a 4xx.
    auto reply =
        text_reply(503, looked_ ? "the body comes too slowly" : "the request comes too slowly");
    reply.fields.emplace_back("Retry-After: 5");
    reply.closes = true;
    if (looked_) server.handler_.on_refused(parser_->head(), reply.status);
    answer(std::move(reply), server);
  }

  /// When look_at_time() has something to do.
  std::int64_t due_ns() const {
    if (state != State::request || !looked_) return deadline_ns;
    return std::min(deadline_ns, body_began_ns_ + kGraceNs +
                                     static_cast<std::int64_t>(parser_->body_bytes()) *
                                         kNsPerSecond / kBytesPerSecondMin);
  }

  static std::uint64_t id_of(const std::unique_ptr<Connection>& one) { return one->id; }

  const std::uint64_t id;
  const std::string address;
  State state = State::request;
  std::uint64_t number = 0;  // of the request
  std::int64_t deadline_ns;
  std::uint32_t watched = 0;  // of events()
  bool is_known = false;      // it has shown a login

 private:
  std::optional<HttpReply> look_at_head(RequestHandler& handler, std::int64_t now_ns) {
    looked_ = true;
    body_began_ns_ = now_ns;
    deadline_ns = now_ns + kBodyNs;
    auto& head = parser_->head();
    head.peer = address;
    std::size_t body_bytes_max = 0;
    auto refused = handler.refuse(head, body_bytes_max);
    is_known = is_known || head.has_login;
    const bool is_let_pass = !refused;
    if (!refused && head.content_length > body_bytes_max) {
      refused = text_reply(413, cat("a body of at most ", body_bytes_max, " bytes is taken here"));
    }
    const auto wanted = head.is_chunked ? body_bytes_max : head.content_length;
    if (!refused && !has_room_for(wanted)) {
      refused = text_reply(503, "too much is being sent at this moment, try again later");
      refused->fields.emplace_back("Retry-After: 1");
    }
    if (!refused) expect_body(wanted);
    if (refused) {
      if (is_let_pass) handler.on_refused(head, refused->status);
      refused->closes = refused->closes || head.has_body();
      // Without a body the request is over: put() says so.
      if (!head.has_body()) parser_->put(input_);
      return refused;
    }
    parser_->limit_body(body_bytes_max);
    if (head.expects_continue && head.has_body() && input_.empty()) {
      constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
      // An empty socket takes these few bytes; where it does not, the client sends without them.
      [[maybe_unused]] const auto sent = send_some(kContinue);
    }
    return std::nullopt;
  }

  bool has_room_for(std::uint64_t body_bytes) const {
    return body_bytes > kLargeBytes ? bodies_.large == 0
                                    : bodies_.bytes + body_bytes <= kBodiesBytesMax;
  }

  void expect_body(std::uint64_t bytes) {
    const auto before = std::exchange(body_bytes_expected_, bytes);
    bodies_.large -= before > kLargeBytes ? 1 : 0;
    bodies_.bytes -= before > kLargeBytes ? 0 : before;
    bodies_.large += bytes > kLargeBytes ? 1 : 0;
    bodies_.bytes += bytes > kLargeBytes ? 0 : bytes;
  }

  ssize_t send_some(std::string_view bytes) {
    return tls_ ? tls_->write(bytes) : ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }

  bool send(std::string_view bytes) {
    while (sent_ < bytes.size()) {
      const auto sent = send_some(bytes.substr(sent_));
      if (sent < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) state = State::closed;
        return false;
      }
      sent_ += static_cast<std::size_t>(sent);
    }
    sent_ = 0;
    return true;
  }

  Fd fd_;
  std::unique_ptr<http::TlsSession> tls_;
  std::optional<RequestParser> parser_{std::in_place};
  std::string input_;  // not parsed yet
  std::string output_;
  std::shared_ptr<const std::string> body_;  // behind output_
  std::size_t sent_ = 0;                     // of output_, then of body_
  std::size_t lingered_ = 0;
  std::int64_t body_began_ns_ = 0;
  Bodies& bodies_;
  std::uint64_t body_bytes_expected_ = 0;
  bool began_ = false;   // a byte of the request is there
  bool looked_ = false;  // at its head
  bool ended_ = false;   // the client sends nothing any more
  bool closes_ = false;
};

Server::Server(Setup setup, RequestHandler& handler)
    : setup_(std::move(setup)),
      handler_(handler),
      tls_(setup_.tls.cert_file.empty() ? nullptr : std::make_unique<http::TlsServer>(setup_.tls)) {
}

Server::~Server() {
  if (listener_ && setup_.address.family == ListenAddress::Family::unix_socket) {
    ::unlink(setup_.address.host.c_str());
  }
}

Result<void> Server::listen() {
  const auto loaded = tls_ ? tls_->load() : Result<void>();
  const bool has_epoll = open_epoll();
  auto listener = loaded ? listen_at(setup_.address) : Result<Fd>(loaded.error());
  if (!has_epoll) listener = failed(cat("cannot listen: epoll: ", errno_text(errno)));
  if (!listener) {
    listen_again_ns_ = clock().monotonic_ns() + kListenAgainNs;
    return listener.error();
  }
  listener_ = std::move(*listener);
  setup_.stats->is_listening = true;
  if (tls_) setup_.stats->not_after_s = tls_->not_after_s();
  return {};
}

bool Server::open_epoll() {
  if (epoll_) return true;
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event event{EPOLLIN, {nullptr}};
  const int wakeup = setup_.wakeup->fd();
  if (!epoll || (wakeup >= 0 && ::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wakeup, &event) != 0)) {
    return false;
  }
  epoll_ = std::move(epoll);
  return true;
}

bool Server::is_listening() const {
  return static_cast<bool>(listener_);
}

std::size_t Server::connections() const {
  return connections_.size();
}

void Server::step(std::int64_t until_ns) {
  using State = Connection::State;
  auto now_ns = clock().monotonic_ns();
  if (!listener_ && now_ns >= listen_again_ns_ && listen())
    log_info("listen: connections are accepted now");
  until_ns = std::min(until_ns, handler_.due_ns());
  if (!listener_) until_ns = std::min(until_ns, listen_again_ns_);
  const bool is_full =
      connections_.size() >= setup_.connections_max &&
      std::ranges::none_of(connections_, [](const auto& one) { return one->is_idle(); });
  const bool accepts = listener_ && !is_full && now_ns >= accept_again_ns_;
  if (listener_ && !accepts && !is_full) until_ns = std::min(until_ns, accept_again_ns_);

  until_ns = touched_.empty() ? std::min(until_ns, look_at_all_ns_) : now_ns;
  watch_listener(accepts);
  epoll_event events[kEventsPerStep];
  const auto wait_ns = std::clamp<std::int64_t>(until_ns - now_ns, 0, 3600 * kNsPerSecond);
  const auto wait_ms = static_cast<int>((wait_ns + kNsPerMs - 1) / kNsPerMs);
  if (!epoll_) setup_.wakeup->wait(wait_ns);
  const int count = epoll_ ? ::epoll_wait(epoll_.get(), events, kEventsPerStep, wait_ms) : 0;
  if (count < 0) return;
  now_ns = clock().monotonic_ns();
  const std::span happened(events, static_cast<std::size_t>(count));
  const auto has_event = [&](const void* of) {
    return std::ranges::any_of(happened, [of](const auto& one) { return one.data.ptr == of; });
  };
  const bool is_woken = has_event(nullptr) || !epoll_;
  if (is_woken) setup_.wakeup->clear();
  if (is_woken || now_ns >= handler_.due_ns()) handler_.work(*this);

  for (const auto& one : happened) {
    if (one.data.ptr == nullptr || one.data.ptr == this) continue;
    read(*static_cast<Connection*>(one.data.ptr), one.events, now_ns);
  }
  if (now_ns >= look_at_all_ns_) look_at_all(now_ns);
  bool has_closed = false;
  for (std::size_t i = 0; i < touched_.size(); ++i) {  // more may come
    auto& one = *touched_[i];
    one.look_at_time(*this, now_ns);
    serve(one, now_ns);
    watch(one);
    has_closed = has_closed || one.state == State::closed;
  }
  touched_.clear();
  if (has_closed) {
    std::erase_if(connections_, [](const auto& one) { return one->state == State::closed; });
  }
  if (has_event(this)) accept(now_ns);
  setup_.stats->connections = connections_.size();
}

void Server::read(Connection& one, std::uint32_t happened, std::int64_t now_ns) {
  using State = Connection::State;
  if ((happened & EPOLLERR) != 0 || ((happened & EPOLLHUP) != 0 && one.events() == 0)) {
    one.state = State::closed;
  } else if (one.state == State::request || one.state == State::linger) {
    one.read(now_ns);
  } else if (one.events() == 0) {
    set_events(one, 0);  // the next request is there before this one is answered
  }
  touched_.push_back(&one);
}

/// For some of them it is time, or was when this was last known.
void Server::look_at_all(std::int64_t now_ns) {
  look_at_all_ns_ = kNeverNs;
  for (const auto& one : connections_) {
    one->due_ns() <= now_ns ? touched_.push_back(one.get()) : note_due(*one);
  }
}

void Server::note_due(const Connection& connection) {
  look_at_all_ns_ = std::min(look_at_all_ns_, connection.due_ns());
}

/// What has to happen at the connection next. While an answer is made nothing has to, and as a rule
/// nothing does: what is watched may stay as it is.
void Server::watch(Connection& connection) {
  note_due(connection);
  const auto wanted = connection.events();
  const bool is_enough = wanted == 0 && connection.watched == EPOLLIN;
  if (wanted == connection.watched || is_enough || connection.state == Connection::State::closed) {
    return;
  }
  set_events(connection, wanted);
}

void Server::set_events(Connection& connection, std::uint32_t wanted) {
  epoll_event event{wanted, {&connection}};
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection.fd(), &event) != 0) {
    connection.state = Connection::State::closed;
  }
  connection.watched = wanted;
}

void Server::watch_listener(bool accepts) {
  if (!listener_ || accepts == accepts_) return;
  epoll_event event{EPOLLIN, {this}};
  const int what = accepts ? EPOLL_CTL_ADD : EPOLL_CTL_DEL;
  if (::epoll_ctl(epoll_.get(), what, listener_.get(), &event) == 0) accepts_ = accepts;
}

void Server::serve(Connection& connection, std::int64_t now_ns) {
  using State = Connection::State;
  for (;;) {
    if (connection.state == State::request) connection.parse(handler_, *this, now_ns);
    if (connection.state != State::answer || !connection.write(now_ns)) return;
  }
}

/// Before a connection: files that have changed are in force for it.
void Server::load_tls() {
  if (!tls_) return;
  const auto loaded = tls_->load();
  if (!loaded) log_error(cat("listen: ", loaded.error().text, "; the one before is used on"));
  setup_.stats->not_after_s = tls_->not_after_s();
}

void Server::accept(std::int64_t now_ns) {
  load_tls();
  for (int i = 0; i < kAcceptsPerStep; ++i) {
    if (connections_.size() >= setup_.connections_max && !make_room()) return;
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    Fd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                    SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
      const bool none_left =
          errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
      if (none_left) accept_again_ns_ = now_ns + kAcceptAgainNs;
      return;
    }
    auto address = address_of(peer);
    const auto same = std::ranges::count_if(
        connections_, [&](const auto& one) { return !one->is_known && one->address == address; });
    if (!address.empty() && static_cast<std::size_t>(same) >= kPerAddressMax) continue;
    auto session = tls_ ? tls_->accept(fd.get()) : nullptr;
    if (tls_ && !session) continue;
    auto connection = std::make_unique<Connection>(
        std::move(fd), std::move(session), next_connection_++, std::move(address), now_ns, bodies_);
    connection->watched = connection->events();
    epoll_event event{connection->watched, {connection.get()}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection->fd(), &event) != 0) continue;
    note_due(*connection);
    connections_.push_back(std::move(connection));
  }
}

/// Ends the connection that is idle for the longest time.
bool Server::make_room() {
  auto oldest = connections_.end();
  for (auto one = connections_.begin(); one != connections_.end(); ++one) {
    if ((*one)->is_idle() &&
        (oldest == connections_.end() || (*one)->deadline_ns < (*oldest)->deadline_ns)) {
      oldest = one;
    }
  }
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

void Server::reply(ReplyTo to, HttpReply reply) {
  const auto found = std::ranges::lower_bound(connections_, to.connection, {}, &Connection::id_of);
  if (found == connections_.end() || (*found)->id != to.connection) return;
  auto& one = **found;
  if (one.number != to.request || one.state != Connection::State::waiting) return;
  one.answer(std::move(reply), *this);
  touched_.push_back(&one);
}

}  // namespace msp::listen
