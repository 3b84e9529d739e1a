#include "agent/http/connection.h"

#include <curl/curl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <optional>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/http/failure.h"
#include "agent/http/file_mark.h"
#include "agent/http/tls/ca_store.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/url.h"
#include "agent/http/wiped_memory.h"

namespace msp::http {
namespace {

constexpr long kConnectionsMax = 2;  // one in use; one more for where a redirect leads
constexpr std::size_t kHeaderBytesMax = 64 * 1024;

/// Of the answer that `handle` has, or has begun to get; empty: there is none.
std::string_view header_of(CURL* handle, const char* name) {
  curl_header* header = nullptr;
  const auto found = curl_easy_header(handle, name, 0, CURLH_HEADER, -1, &header);
  return found == CURLHE_OK ? header->value : "";
}

/// An answer while it arrives.
struct Received {
  Received(const HttpRequest& request, BodyBudget* of_all)
      : body(request.content_max, request.keeps_content),
        budget(of_all),
        unpacks(!request.is_probe) {}
  Received(const Received&) = delete;
  Received& operator=(const Received&) = delete;
  ~Received() {
    if (budget != nullptr) budget->bytes -= counted;
  }

  CURL* handle = nullptr;
  BodyReader body;
  BodyBudget* budget;
  bool unpacks;
  std::size_t counted = 0;  // in the budget
  bool has_no_room = false;
  CURLcode code = CURLE_OK;
  std::size_t header_bytes = 0;  // of interim answers as well
  bool headers_ended = false;    // of the answer itself
  bool body_began = false;

  /// False: there were more than kHeaderBytesMax of them.
  bool on_header(std::string_view line) {
    header_bytes += line.size();
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && trim(line).find_first_not_of("\r\n") == std::string_view::npos) {
      headers_ended = true;
    }
    return header_bytes <= kHeaderBytesMax;
  }

  bool on_body(std::string_view part) {
    const bool begins = !std::exchange(body_began, true);
    if (begins && unpacks) body.set_coding(header_of(handle, "Content-Encoding"));
    if (!body.add(part)) return false;
    if (budget == nullptr) return true;
    budget->bytes += body.size() - counted;
    counted = body.size();
    has_no_room = counted > BodyBudget::kSmallBytes && budget->bytes > budget->bytes_max;
    return !has_no_room;
  }
};

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  return static_cast<Received*>(user)->on_header({data, size}) ? size : 0;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  return static_cast<Received*>(user)->on_body({data, size}) ? size : 0;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const StopToken*>(user)->time_is_up() ? 1 : 0;
}

CURLcode on_tls(CURL*, void* ssl_ctx, void* user) {
  static_cast<CertificateWatch*>(user)->watch(ssl_ctx);
  return CURLE_OK;
}

}  // namespace

struct Connection::Curl {
  const HttpOptions& options;
  const StopToken stop;
  CertificateWatch certificates;  // outlives the handle
  CURL* handle = nullptr;
  const bool is_in_multi;
  const Clock& clock;
  CURLSH* own = nullptr;  // connections, sessions and addresses, where it is in a multi handle
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::array<FileMark, 3> tls_files{};
  FileMark ca_store{};
  // Of the request under way.
  HttpTrace* trace = nullptr;
  const HttpRequest* request = nullptr;
  Url to;
  Deadline deadline{};
  std::int64_t begin_ns = 0;
  std::optional<Received> received;
  int socket_error = 0;        // of its last socket(2)
  SocketAddress address = {};  // for its task
  char error[CURL_ERROR_SIZE] = {};

  Curl(const HttpOptions& of, StopToken until, bool in_multi, const Clock& by)
      : options(of), stop(std::move(until)), is_in_multi(in_multi), clock(by) {
    open();
  }
  ~Curl() {
    drop_headers();
    close();
    curl_slist_free_all(connect_to);
  }

  static curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* to) {
    auto& curl = *static_cast<Curl*>(user);
    if (curl.request->task != nullptr) return curl.keep(*to);
    if (curl.trace != nullptr) curl.trace->add_address(&to->addr);
    const int fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
    curl.socket_error = fd < 0 ? errno : 0;
    return fd;
  }

  /// The first address is the task's; libcurl gets a socket to none.
  curl_socket_t keep(const curl_sockaddr& to) {
    if (address.size == 0 && to.addrlen <= sizeof address.bytes) {
      std::memcpy(&address.bytes, &to.addr, to.addrlen);
      address.size = to.addrlen;
      if (trace != nullptr) trace->add_address(&to.addr);
    }
    return CURL_SOCKET_BAD;
  }

  /// Without what it has no memory for, a request would go elsewhere, or say less than it must: there
  /// is none then.
  template <typename Value>
  void set(CURLoption option, Value value) {
    if (curl_easy_setopt(handle, option, value) == CURLE_OUT_OF_MEMORY) throw std::bad_alloc();
  }
  static curl_slist* with_line(curl_slist* list, const std::string& line) {
    auto* const longer = curl_slist_append(list, line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    return longer;
  }
  template <typename Value>
  Value get(CURLINFO info) {
    Value value{};
    curl_easy_getinfo(handle, info, &value);
    return value;
  }

  void open() {
    handle = curl_easy_init();
    if (is_in_multi) {
      own = curl_share_init();
      if (own == nullptr) throw std::bad_alloc();
      for (const auto data :
           {CURL_LOCK_DATA_CONNECT, CURL_LOCK_DATA_SSL_SESSION, CURL_LOCK_DATA_DNS}) {
        curl_share_setopt(own, CURLSHOPT_SHARE, data);
      }
      set(CURLOPT_SHARE, own);
    }
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_MAXCONNECTS, kConnectionsMax);
    set(CURLOPT_ERRORBUFFER, error);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, const_cast<StopToken*>(&stop));
    set(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    set(CURLOPT_OPENSOCKETDATA, this);
    const bool is_local = !options.unix_socket.empty();
    set(CURLOPT_UNIX_SOCKET_PATH, is_local ? options.unix_socket.c_str() : nullptr);
    // Both are set where they are empty, too: libcurl would ask the environment otherwise.
    set(CURLOPT_PROXY, is_local ? "" : options.proxy_url.c_str());
    set(CURLOPT_NOPROXY, options.no_proxy.c_str());
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // the proxy's answer is not the server's

    const auto& tls = options.tls;
    for (const auto option : {CURLOPT_SSLVERSION, CURLOPT_PROXY_SSLVERSION}) {
      set(option, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    }
    set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
    // CertificateWatch has them; libcurl would load those that it was built with.
    for (const auto option :
         {CURLOPT_CAINFO, CURLOPT_PROXY_CAINFO, CURLOPT_CAPATH, CURLOPT_PROXY_CAPATH}) {
      set(option, nullptr);
    }
    set(CURLOPT_CA_CACHE_TIMEOUT, 0L);  // it would put another store in the place of ours
    set(CURLOPT_SSL_CTX_FUNCTION, on_tls);
    set(CURLOPT_SSL_CTX_DATA, &certificates);
    set(CURLOPT_KEYPASSWD, "");  // an encrypted key is an error, not a question on the terminal
  }

  /// After a failure: with the handle go its connections and the addresses that it has looked up;
  /// and c-ares reads /etc/resolv.conf when a handle is made, which may have changed.
  void start_over() {
    close();
    open();
  }

  void close() {
    curl_easy_cleanup(handle);
    if (own != nullptr) curl_share_cleanup(own);
    own = nullptr;
  }

  /// A connection was made with the certificates and keys of its time. OpenSSL would wait for the
  /// writer of a FIFO.
  Result<void> follow_tls_files() {
    const auto& tls = options.tls;
    for (const auto& [key, path] :
         {std::pair("tls.cert_file", &tls.cert_file), std::pair("tls.key_file", &tls.key_file)}) {
      struct stat at {};
      if (path->empty() || ::stat(path->c_str(), &at) != 0 || S_ISREG(at.st_mode)) continue;
      return failed(cat(key, " ", *path, ": not a regular file; put the PEM file back"));
    }
    const std::array<FileMark, 3> now = {mark_of(tls.ca_file), mark_of(tls.cert_file),
                                         mark_of(tls.key_file)};
    if (now != tls_files) start_over();
    tls_files = now;
    return {};
  }

  /// Looked for at every request: it may be installed while the agent runs. A proxy is trusted like
  /// the server.
  Result<void> set_ca_store(const Url& to) {
    const bool verifies = (to.place.https && !options.tls.insecure_skip_verify) ||
                          options.proxy_url.starts_with("https:");
    if (!verifies) return {};
    auto store = options.tls.ca_file.empty() ? find_ca_store() : CaStore{options.tls.ca_file, {}};
    if (!store) return store.error();
    // The host may trust others by now, as after update-ca-certificates.
    const auto mark = mark_of(store->file.empty() ? store->folder : store->file);
    if (mark != ca_store) start_over();
    ca_store = mark;
    certificates.trust(std::move(*store));
    return {};
  }

  /// They hold who the agent is; between requests nobody needs that.
  void drop_headers() {
    set(CURLOPT_HTTPHEADER, nullptr);
    curl_slist_free_all(headers);
    headers = nullptr;
  }
  void add_header(const std::string& line) { headers = with_line(headers, line); }

  /// `is_home`: the server of the configuration, which may see who the agent is.
  void aim(const Url& to, bool is_home, const HttpRequest& request, const Login& login) {
    const auto& tls = options.tls;
    drop_headers();
    for (const auto& line : request.headers) add_header(line);
    if (!options.user_agent.empty()) add_header(cat("User-Agent: ", options.user_agent));
    if (request.content_max > 0 && !request.is_probe) add_header("Accept-Encoding: gzip");
    add_header("Expect:");  // no round trip for 100-continue
    add_header("Accept:");  // libcurl's own; one of the request stays
    if (is_home) {
      for (const auto& [name, value] : options.headers) add_header(cat(name, ": ", value));
      if (!login.line.text().empty()) add_header(login.line.text());
    }
    const bool has_certificate = is_home && !tls.cert_file.empty();
    set(CURLOPT_SSLCERT, has_certificate ? tls.cert_file.c_str() : nullptr);
    set(CURLOPT_SSLKEY, has_certificate ? tls.key_file.c_str() : nullptr);
    set(CURLOPT_URL, to.text.c_str());
    curl_slist_free_all(connect_to);
    connect_to = nullptr;
    if (is_home && to.place.https && !tls.server_name.empty()) rename(to);
    set(CURLOPT_CONNECT_TO, connect_to);
    set(CURLOPT_HTTPHEADER, headers);
  }

  /// The name that the certificate must have is, for libcurl, the URL's host: so the URL gets that
  /// name, the connection goes where the URL pointed, and the request still names the real host.
  void rename(const Url& to) {
    const auto& name = options.tls.server_name;
    const auto route = cat(name, ":", to.place.port, ":", to.place.host, ":", to.place.port);
    connect_to = with_line(nullptr, route);
    if (!options.headers.contains("Host")) add_header(cat("Host: ", to.host_and_port()));
    set(CURLOPT_URL, cat("https://", name, ":", to.place.port, to.path_and_query).c_str());
  }

  void set_method(const HttpRequest& request) {
    const bool has_body = request.method == "POST" || !request.body.empty();
    if (request.method == "HEAD") {
      set(CURLOPT_NOBODY, 1L);
    } else if (has_body) {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDS, request.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    } else {
      set(CURLOPT_HTTPGET, 1L);
    }
    const bool is_plain = request.method == (has_body ? "POST" : "GET") || request.method == "HEAD";
    set(CURLOPT_CUSTOMREQUEST, is_plain ? nullptr : request.method.c_str());
  }

  /// Everything for one request, to the end of its answer or of its time.
  void make_ready(const HttpRequest& of, const Place& to_place, const Deadline& until,
                  BodyBudget* budget, HttpTrace* to_trace) {
    request = &of;
    deadline = until;
    begin_ns = clock.monotonic_ns();
    const auto left_ms = std::max<std::int64_t>(1, (deadline.at_ns - begin_ns) / kNsPerMs);
    for (const auto option : {CURLOPT_TIMEOUT_MS, CURLOPT_CONNECTTIMEOUT_MS}) {
      set(option, static_cast<long>(left_ms));
    }
    received.emplace(of, budget);
    received->handle = handle;
    set(CURLOPT_HEADERDATA, &*received);
    set(CURLOPT_WRITEDATA, &*received);
    set_method(of);
    set(CURLOPT_IPRESOLVE,
        static_cast<long>(to_place.ip == IpFamily::ip4   ? CURL_IPRESOLVE_V4
                          : to_place.ip == IpFamily::ip6 ? CURL_IPRESOLVE_V6
                                                         : CURL_IPRESOLVE_WHATEVER));
    set(CURLOPT_CONNECT_ONLY, of.only_connects ? 1L : 0L);
    set(CURLOPT_SSL_ENABLE_ALPN,
        of.only_connects ? 0L : 1L);  // the protocol is not HTTP
    trace = to_trace;
    socket_error = 0;
    address = {};
    error[0] = '\0';
    certificates.forget();
  }

  HttpAnswer answer(const HttpRequest& request, Received& received, const Url& to,
                    const Deadline& deadline);
  Failure failure(const Received& received, const Deadline& deadline);
  Reached reached();
  void record(std::int64_t begin_ns, HttpTrace& trace);
  bool is_by_proxy(const Url& proxy, const std::vector<std::string>& tried) const;
  std::string words() const { return with_reason(one_line(error)); }
};

/// Without a no_proxy everything goes through the proxy; with one, libcurl's words tell, or the
/// port.
bool Connection::Curl::is_by_proxy(const Url& proxy, const std::vector<std::string>& tried) const {
  if (options.proxy_url.empty() || !options.unix_socket.empty()) return false;
  if (options.no_proxy.empty()) return true;
  const auto by_proxy = cat("to ", proxy.place.host, " port ", proxy.place.port, " ");
  return words().find(by_proxy) != std::string::npos ||
         (!tried.empty() && tried.back().ends_with(cat(":", proxy.place.port)));
}

Reached Connection::Curl::reached() {
  if (get<curl_off_t>(CURLINFO_PRETRANSFER_TIME_T) != 0) return Reached::server;
  if (certificates.handshake().begun_ns != 0) return Reached::tls;
  if (get<long>(CURLINFO_HTTP_CONNECTCODE) != 0) return Reached::connection;
  return get<curl_off_t>(CURLINFO_NAMELOOKUP_TIME_T) != 0 ? Reached::name : Reached::nothing;
}

void Connection::Curl::record(std::int64_t begin_ns, HttpTrace& out) {
  out.reached = reached();
  out.resolved_us = get<curl_off_t>(CURLINFO_NAMELOOKUP_TIME_T);
  out.connected_us = get<curl_off_t>(CURLINFO_CONNECT_TIME_T);  // 0 where TLS fails
  out.tls_us = get<curl_off_t>(CURLINFO_APPCONNECT_TIME_T);
  out.first_byte_us = get<curl_off_t>(CURLINFO_STARTTRANSFER_TIME_T);
  // libcurl has none where a name server says at once that there is no such name.
  out.total_us = std::max({get<curl_off_t>(CURLINFO_TOTAL_TIME_T),
                           static_cast<curl_off_t>((clock.monotonic_ns() - begin_ns) / 1000),
                           static_cast<curl_off_t>(1)});
  const auto version = get<long>(CURLINFO_HTTP_VERSION);
  out.http_version = version == CURL_HTTP_VERSION_1_0 ? 10 : version == 0 ? 0 : 11;
  out.handshake = certificates.handshake();
  if (out.handshake.begun_ns != 0) out.tls_begun_us = (out.handshake.begun_ns - begin_ns) / 1000;
  out.proxy_status = static_cast<int>(get<long>(CURLINFO_HTTP_CONNECTCODE));
  const auto proxy = parse_url(options.proxy_url);
  if (is_by_proxy(proxy, out.addresses)) out.proxy = proxy.host_and_port();
  out.took_us += out.total_us;
  out.status = static_cast<int>(get<long>(CURLINFO_RESPONSE_CODE));
  out.content_length = get<curl_off_t>(CURLINFO_CONTENT_LENGTH_DOWNLOAD_T);
  out.body_bytes = received->body.bytes();
  // Also of a name that does not resolve.
  if (out.redirects == 0) {
    out.home_resolved_us += out.reached == Reached::nothing ? out.total_us : out.resolved_us;
  }
  // A step counts where the one after it was come to.
  const auto connected_us = std::max(out.connected_us, out.tls_us);
  out.phase(HttpPhase::resolve) += out.resolved_us;
  if (out.connected_us != 0) out.phase(HttpPhase::connect) += out.connected_us - out.resolved_us;
  if (out.tls_us != 0) out.phase(HttpPhase::tls) += out.tls_us - out.connected_us;
  if (out.first_byte_us == 0) return;
  out.phase(HttpPhase::processing) += out.first_byte_us - connected_us;
  if (received->code == CURLE_OK)
    out.phase(HttpPhase::transfer) += out.total_us - out.first_byte_us;
}

Failure Connection::Curl::failure(const Received& received, const Deadline& deadline) {
  Failure failure;
  failure.code = received.code;
  failure.words = error[0] != '\0' ? words() : std::string(curl_easy_strerror(received.code));
  failure.reached = reached();
  failure.is_proxy = is_by_proxy(parse_url(options.proxy_url), {});
  failure.proxy_status = static_cast<int>(get<long>(CURLINFO_HTTP_CONNECTCODE));
  failure.connect_error = static_cast<int>(get<long>(CURLINFO_OS_ERRNO));
  failure.socket_error = socket_error;
  failure.answer_began = get<curl_off_t>(CURLINFO_STARTTRANSFER_TIME_T) != 0;
  failure.headers_ended = received.headers_ended;
  failure.allowed = deadline.allowed;
  return failure;
}

/// What there is of an answer; its words are for the caller to make fit to be shown.
HttpAnswer Connection::Curl::answer(const HttpRequest& request, Received& received, const Url& to,
                                    const Deadline& deadline) {
  HttpAnswer answer;
  const auto status = static_cast<int>(get<long>(CURLINFO_RESPONSE_CODE));
  const bool sent_all =
      get<curl_off_t>(CURLINFO_SIZE_UPLOAD_T) >= static_cast<curl_off_t>(request.body.size());
  const bool wants_content = request.content_max > 0;
  const auto problem = received.body.problem();
  answer.is_too_long = wants_content && problem == BodyReader::Problem::too_long;
  if (request.only_connects && received.code == CURLE_OK) return answer;
  if (received.has_no_room) {
    answer.error =
        cat("the answers that ", to.host_and_port(), " and others give together are larger ",
            "than ", received.budget->bytes_max >> 20, " MiB");
  } else if (received.headers_ended && wants_content && problem != BodyReader::Problem::none) {
    answer.error = body_text(problem, to.host_and_port(), header_of(handle, "Content-Encoding"),
                             request.content_max);
  } else if (!received.headers_ended || (wants_content && received.code != CURLE_OK) ||
             (status < 300 && !sent_all)) {
    // Where nobody wants the body, the status stands whatever becomes of that, unless it praises
    // half a request.
    answer.error = failure_text(failure(received, deadline), options, to, certificates);
  }
  if (!answer.error.empty()) {
    if (received.headers_ended) answer.error = cat("HTTP ", status, ", but ", answer.error);
    return answer;
  }
  answer.status = status;
  answer.is_html = received.body.is_html();
  answer.content = wants_content ? received.body.take_content() : "";
  curl_header* header = nullptr;
  while ((header = curl_easy_nextheader(handle, CURLH_HEADER, -1, header)) != nullptr) {
    answer.headers.emplace_back(header->name, header->value);
  }
  answer.is_html = answer.is_html || is_html(answer.header("Content-Type"));
  answer.date_s = http_date(answer.header("Date"));
  answer.retry_after =
      retry_wait(answer.header("Retry-After"), answer.date_s.value_or(wall_ns() / kNsPerSecond));
  return answer;
}

Connection::Connection(const HttpOptions& options, StopToken stop, bool is_in_multi,
                       const Clock& clock)
    : curl_(std::make_unique<Curl>(options, std::move(stop), is_in_multi, clock)) {}

Connection::~Connection() = default;

HttpAnswer Connection::exchange(const HttpRequest& request, const Place& place, const Login& login,
                                const Deadline& deadline, HttpTrace* trace) {
  if (auto begun = begin(request, place, login, deadline, trace, nullptr); !begun) {
    HttpAnswer answer;
    answer.error = begun.error().text;
    answer.is_own_fault = true;
    return answer;
  }
  return end(curl_easy_perform(curl_->handle));
}

Result<void> Connection::begin(const HttpRequest& request, const Place& place, const Login& login,
                               const Deadline& deadline, HttpTrace* trace, BodyBudget* budget) {
  auto& curl = *curl_;
  if (auto found = curl.follow_tls_files(); !found) return found;
  if (auto found = curl.set_ca_store(place.url); !found) return found;
  curl.to = place.url;
  curl.aim(place.url, place.is_home, request, login);
  curl.make_ready(request, place, deadline, budget, trace);
  return {};
}

void* Connection::handle() const {
  return curl_->handle;
}

HttpAnswer Connection::end(int code) {
  auto& curl = *curl_;
  auto& received = *curl.received;
  received.code = static_cast<CURLcode>(code);
  if (curl.trace != nullptr) curl.record(curl.begin_ns, *curl.trace);
  curl.drop_headers();
  const auto words = curl.get<long>(CURLINFO_RESPONSE_CODE) >= 300 ? received.body.words() : "";
  auto answer = curl.answer(*curl.request, received, curl.to, curl.deadline);
  if (answer.status >= 300) answer.words = words;
  curl.received.reset();
  return answer;
}

const SocketAddress& Connection::address() const {
  return curl_->address;
}

void Connection::start_over() {
  curl_->start_over();
}

}  // namespace msp::http
