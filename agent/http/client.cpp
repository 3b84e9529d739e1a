#include "agent/http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/http/auth.h"
#include "agent/http/file_mark.h"
#include "agent/http/tls/ca_store.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/url.h"
#include "agent/http/wiped_memory.h"

namespace msp {
namespace {

constexpr int kRedirectsMax = 5;
constexpr long kConnectionsMax = 2;  // one in use; one more for where a redirect leads

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  return static_cast<AnswerReader*>(user)->on_header({data, size}) ? size : 0;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  return static_cast<AnswerReader*>(user)->on_body({data, size}) ? size : 0;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto give_up_at =
      static_cast<const std::atomic<std::int64_t>*>(user)->load(std::memory_order_relaxed);
  return give_up_at != 0 && monotonic_ns() >= give_up_at ? 1 : 0;
}

CURLcode on_tls(CURL*, void* ssl_ctx, void* user) {
  static_cast<CertificateWatch*>(user)->watch(ssl_ctx);
  return CURLE_OK;
}

curl_socket_t on_socket(void* user, curlsocktype, curl_sockaddr* to) {
  static_cast<HttpTrace*>(user)->add_address(&to->addr);
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

}  // namespace

struct HttpClient::Curl {
  const EndpointConfig& config;
  const std::atomic<std::int64_t>& give_up_at_ns;
  const Url home;
  CertificateWatch certificates;  // outlives the handle
  CURL* handle = nullptr;
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::array<FileMark, 3> tls_files{};
  FileMark ca_store{};
  char error[CURL_ERROR_SIZE] = {};

  Curl(const EndpointConfig& endpoint, const std::atomic<std::int64_t>& give_up)
      : config(endpoint), give_up_at_ns(give_up), home(parse_url(endpoint.url)) {
    open();
  }
  ~Curl() {
    drop_headers();
    curl_easy_cleanup(handle);
    curl_slist_free_all(connect_to);
  }

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(handle, option, value);
  }
  template <typename Value>
  Value get(CURLINFO info) {
    Value value{};
    curl_easy_getinfo(handle, info, &value);
    return value;
  }

  void open() {
    handle = curl_easy_init();
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_POST, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_MAXCONNECTS, kConnectionsMax);
    set(CURLOPT_ERRORBUFFER, error);
    set(CURLOPT_HEADERFUNCTION, on_header);
    set(CURLOPT_WRITEFUNCTION, on_body);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, on_progress);
    set(CURLOPT_XFERINFODATA, const_cast<std::atomic<std::int64_t>*>(&give_up_at_ns));
    // Both are set where they are empty, too: libcurl would ask the environment otherwise.
    set(CURLOPT_PROXY, config.proxy_url.c_str());
    set(CURLOPT_NOPROXY, config.no_proxy.c_str());
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);  // the proxy's answer is not the server's

    const auto& tls = config.tls;
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

  /// After a failure: c-ares reads /etc/resolv.conf when a handle is made, and the network of a
  /// host may come, or change, after that. Also closes the connection.
  void start_over() {
    curl_easy_cleanup(handle);
    open();
  }

  /// A connection was made with the certificates and keys of its time.
  void follow_tls_files() {
    const auto& tls = config.tls;
    const std::array<FileMark, 3> now = {mark_of(tls.ca_file), mark_of(tls.cert_file),
                                         mark_of(tls.key_file)};
    if (now != tls_files) start_over();
    tls_files = now;
  }

  /// Looked for at every request: it may be installed while the agent runs. A proxy is trusted like
  /// the server.
  Result<void> set_ca_store(const Url& to) {
    const bool verifies = (to.place.https && !config.tls.insecure_skip_verify) ||
                          config.proxy_url.starts_with("https:");
    if (!verifies) return {};
    auto store = config.tls.ca_file.empty() ? find_ca_store() : CaStore{config.tls.ca_file, {}};
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
  void add_header(const std::string& line) { headers = curl_slist_append(headers, line.c_str()); }

  /// `is_home`: the server of the configuration, which may see who the agent is.
  void aim(const Url& to, bool is_home, const std::vector<std::string>& lines,
           const Secret& login) {
    const auto& tls = config.tls;
    drop_headers();
    for (const auto& line : lines) add_header(line);
    add_header("Expect:");  // no round trip for 100-continue
    add_header("Accept:");
    if (is_home) {
      for (const auto& [name, value] : config.headers) add_header(cat(name, ": ", value));
      if (!login.text().empty()) add_header(login.text());
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
    const auto& name = config.tls.server_name;
    const auto route = cat(name, ":", to.place.port, ":", to.place.host, ":", to.place.port);
    connect_to = curl_slist_append(nullptr, route.c_str());
    add_header(cat("Host: ", to.host_and_port()));
    set(CURLOPT_URL, cat("https://", name, ":", to.place.port, to.path_and_query).c_str());
  }

  /// One request, to the end of its answer or of `deadline_ns`.
  CURLcode perform(std::string_view body, std::int64_t deadline_ns, AnswerReader& reader,
                   HttpTrace* trace) {
    const auto left_ms = std::max<std::int64_t>(1, (deadline_ns - monotonic_ns()) / kNsPerMs);
    for (const auto option : {CURLOPT_TIMEOUT_MS, CURLOPT_CONNECTTIMEOUT_MS}) {
      set(option, static_cast<long>(left_ms));
    }
    set(CURLOPT_HEADERDATA, &reader);
    set(CURLOPT_WRITEDATA, &reader);
    set(CURLOPT_OPENSOCKETFUNCTION, trace != nullptr ? on_socket : nullptr);
    set(CURLOPT_OPENSOCKETDATA, trace);
    set(CURLOPT_POSTFIELDS, body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    error[0] = '\0';
    certificates.forget();
    const auto begin_ns = monotonic_ns();
    const auto code = curl_easy_perform(handle);
    if (trace != nullptr) record(begin_ns, *trace);
    drop_headers();
    return code;
  }

  std::string failure(CURLcode code, const Url& to);
  Reached reached();
  void record(std::int64_t begin_ns, HttpTrace& trace);
  bool is_by_proxy(const Url& proxy, const std::vector<std::string>& tried) const;
  std::string words() const { return with_reason(one_line(error)); }
  /// Of "error:0A00010B:SSL routines::wrong version number" what a person may look for.
  std::string tls_words() const {
    const auto all = words();
    const auto last = all.rfind("::");
    return last == std::string::npos ? all : all.substr(last + 2);
  }
};

/// Without a no_proxy everything goes through the proxy; with one, libcurl's words tell, or the
/// port.
bool HttpClient::Curl::is_by_proxy(const Url& proxy, const std::vector<std::string>& tried) const {
  if (config.proxy_url.empty() || config.no_proxy.empty()) return !config.proxy_url.empty();
  const auto by_proxy = cat("to ", proxy.place.host, " port ", proxy.place.port, " ");
  return words().find(by_proxy) != std::string::npos ||
         (!tried.empty() && tried.back().ends_with(cat(":", proxy.place.port)));
}

Reached HttpClient::Curl::reached() {
  if (get<curl_off_t>(CURLINFO_PRETRANSFER_TIME_T) != 0) return Reached::server;
  if (certificates.handshake().begun_ns != 0) return Reached::tls;
  if (get<long>(CURLINFO_HTTP_CONNECTCODE) != 0) return Reached::connection;
  return get<curl_off_t>(CURLINFO_NAMELOOKUP_TIME_T) != 0 ? Reached::name : Reached::nothing;
}

void HttpClient::Curl::record(std::int64_t begin_ns, HttpTrace& trace) {
  trace.reached = reached();
  trace.resolved_us = get<curl_off_t>(CURLINFO_NAMELOOKUP_TIME_T);
  trace.connected_us = get<curl_off_t>(CURLINFO_CONNECT_TIME_T);  // 0 where TLS fails
  trace.tls_us = get<curl_off_t>(CURLINFO_APPCONNECT_TIME_T);
  // libcurl has none where a name server says at once that there is no such name.
  trace.total_us = std::max({get<curl_off_t>(CURLINFO_TOTAL_TIME_T),
                             static_cast<curl_off_t>((monotonic_ns() - begin_ns) / 1000),
                             static_cast<curl_off_t>(1)});
  trace.handshake = certificates.handshake();
  if (trace.handshake.begun_ns != 0)
    trace.tls_begun_us = (trace.handshake.begun_ns - begin_ns) / 1000;
  trace.proxy_status = static_cast<int>(get<long>(CURLINFO_HTTP_CONNECTCODE));
  const auto proxy = parse_url(config.proxy_url);
  if (is_by_proxy(proxy, trace.addresses)) trace.proxy = proxy.host_and_port();
}

/// Why there was no answer: what failed and what to do; with whom, where that is not the URL's
/// host.
std::string HttpClient::Curl::failure(CURLcode code, const Url& to) {
  const auto server = to.host_and_port();
  const auto proxy = parse_url(config.proxy_url);
  const bool is_proxy = is_by_proxy(proxy, {});
  const auto peer = is_proxy ? cat("the proxy ", proxy.host_and_port()) : server;
  const std::string_view way = is_proxy ? "; check proxy_url"
                                        : "; check host and port of url; where only a proxy leads "
                                          "out, set proxy_url";
  if (!certificates.problem().empty()) return certificates.problem();
  if (const auto status = get<long>(CURLINFO_HTTP_CONNECTCODE); status >= 300) {
    return cat("the proxy ", proxy.host_and_port(), " answers HTTP ", status,
               " when asked for a connection to ", server,
               status == 407 ? "; its user and password belong into proxy_url" : "");
  }
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return cat("the host name does not resolve: ", to.place.host,
                 "; correct url, or mend this host's DNS; where only a proxy leads out, set ",
                 "proxy_url");
    case CURLE_COULDNT_RESOLVE_PROXY:
      return cat("the proxy's host name does not resolve: ", proxy.place.host,
                 "; correct proxy_url, or mend this host's DNS");
    case CURLE_COULDNT_CONNECT: {
      const auto system_error = static_cast<int>(get<long>(CURLINFO_OS_ERRNO));
      if (system_error == ECONNREFUSED) return cat("connection refused by ", peer, way);
      if (system_error != 0) return cat(errno_text(system_error), ": ", peer, way);
      break;
    }
    case CURLE_OPERATION_TIMEDOUT:
      return late_text(reached(), config.timeout, server, peer, way);
    case CURLE_WRITE_ERROR:
      return cat("the headers of the answer do not end: ", server);
    case CURLE_OK:
      return cat(server, " answered before it had read the request");
    case CURLE_ABORTED_BY_CALLBACK:
      return "given up because the agent stops";
    case CURLE_GOT_NOTHING:
      return cat("the connection was closed without an answer by ", server);
    case CURLE_UNSUPPORTED_PROTOCOL:  // it calls that HTTP/0.9
    case CURLE_WEIRD_SERVER_REPLY:
      return cat(server, " does not answer in HTTP; if it speaks TLS, the url must begin with ",
                 "https://");
    case CURLE_PEER_FAILED_VERIFICATION:
      if (words().find("subject name") == std::string::npos) break;
      return cat("the certificate is for ", certificates.names(), " and not for ",
                 config.tls.server_name.empty() ? to.place.host : config.tls.server_name,
                 "; correct the url, or set tls.server_name to a name that it has");
    case CURLE_SSL_CERTPROBLEM:
      return cat("tls.cert_file ", config.tls.cert_file, " or tls.key_file ", config.tls.key_file,
                 " cannot be used (", tls_words(), "); both must be in PEM form, unencrypted, ",
                 "belong together, and the agent's user must be able to read them");
    default:
      break;
  }
  const auto said = error[0] != '\0' ? words() : std::string(curl_easy_strerror(code));
  const auto advice = tls_advice(said);
  return advice.empty() ? cat(server, ": ", said) : cat(advice, " (", tls_words(), ")");
}

void init_http() {
  // What it frees was often a header with a password.
  curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, wiping_free, wiping_realloc, strdup,
                       std::calloc);
  init_tls();
}

HttpClient::HttpClient(const EndpointConfig& config, const std::atomic<std::int64_t>& give_up_at_ns)
    : config_(config), curl_(std::make_unique<Curl>(config, give_up_at_ns)) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::post(std::string_view body, const std::vector<std::string>& headers,
                            HttpTrace* trace) {
  auto& curl = *curl_;
  HttpAnswer answer;
  const auto deadline_ns = monotonic_ns() + config_.timeout.count() * kNsPerMs;
  const auto login = authorization(config_);
  if (!login) {
    answer.error = login.error().text;
    answer.is_own_fault = true;
    return answer;
  }
  curl.follow_tls_files();
  auto to = curl.home;
  bool is_home = true;
  for (int redirects = 0;; ++redirects) {
    AnswerReader reader(wall_ns() / kNsPerSecond);
    const auto found = curl.set_ca_store(to);
    if (!found) {
      answer.error = found.error().text;
      answer.is_own_fault = true;
      return answer;
    }
    curl.aim(to, is_home, headers, *login);
    const auto code = curl.perform(body, deadline_ns, reader, trace);
    const bool sent_all =
        curl.get<curl_off_t>(CURLINFO_SIZE_UPLOAD_T) >= static_cast<curl_off_t>(body.size());
    answer = reader.answer();
    // The status stands whatever becomes of the answer's body, unless it praises half a request.
    if (!reader.complete() || (answer.status < 300 && !sent_all)) {
      answer = {};
      answer.error = curl.failure(code, to);
      if (redirects > 0) answer.error = cat("redirected to ", to.shown, ": ", answer.error);
      curl.start_over();
      return answer;
    }
    hide_secrets(answer.body, config_, *login);
    answer.body = page_words(answer.body);  // after that: a secret may hold a '<'
    if (const auto refusal = connection_refusal(answer); !refusal.empty()) {
      answer.error = refusal;
      answer.status = 0;
    }
    const auto next = parse_url(to.text, reader.location());
    const bool is_redirect =
        answer.status >= 300 && answer.status < 400 && !reader.location().empty();
    answer.moved_to = is_redirect ? next.shown : redirects > 0 ? to.shown : "";
    if (!is_redirect || !next.usable || redirects == kRedirectsMax ||
        !follows(answer.status, to.place, next.place)) {
      return answer;
    }
    is_home = is_home && is_same_server(curl.home.place, next.place);
    to = next;
  }
}

}  // namespace msp
