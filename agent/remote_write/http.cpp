#include "agent/remote_write/http.h"

#include <curl/curl.h>
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "agent/core/clock.h"
#include "agent/core/file.h"
#include "agent/core/text.h"

namespace msp {
namespace {

constexpr std::size_t kSecretBytesMax = 64 * 1024;
// More of an answer than this is not read: the connection is closed instead.
constexpr std::size_t kAnswerBytesMax = 64 * 1024;

struct Received {
  std::string body;
  std::size_t bytes = 0;
};

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& received = *static_cast<Received*>(user);
  received.bytes += size;
  if (received.bytes > kAnswerBytesMax) return 0;
  const auto room = HttpAnswer::kBodyMax - received.body.size();
  received.body.append(data, std::min(size, room));
  return size;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto give_up_at =
      static_cast<const std::atomic<std::int64_t>*>(user)->load(std::memory_order_relaxed);
  return give_up_at != 0 && monotonic_ns() >= give_up_at ? 1 : 0;
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return std::iscntrl(c) != 0; }, ' ');
  make_utf8(text);
  return std::string(trim(text));
}

Result<std::string> read_secret(const std::string& inline_secret, const std::string& file) {
  if (file.empty()) return inline_secret;
  auto content = read_file(file, kSecretBytesMax);
  if (!content) return content.error();
  return std::string(trim(*content));
}

/// Where this host has the CA certificates that it trusts; both empty: nowhere.
struct CaStore {
  std::string file;
  std::string folder;  // of one file per certificate, each found by a hash of its name
};

// Debian, Ubuntu, Alpine; RHEL, Fedora, Amazon Linux; SUSE; what is left.
constexpr const char* kCaFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
};
constexpr const char* kCaFolder = "/etc/ssl/certs";
// A few links made by hand are not the host's store.
constexpr int kHashedCertificatesMin = 32;

bool is_hashed(const char* folder) {
  DIR* const entries = opendir(folder);
  if (entries == nullptr) return false;
  int found = 0;
  while (const auto* entry = readdir(entries)) {
    if (std::string_view(entry->d_name).ends_with(".0")) ++found;
  }
  closedir(entries);
  return found >= kHashedCertificatesMin;
}

/// The folder before the file: of the folder OpenSSL reads the one certificate that it needs; of
/// the file all, which takes 12 ms and 0.8 MB.
CaStore find_ca_store() {
  if (is_hashed(kCaFolder)) return {.file = {}, .folder = kCaFolder};
  for (const auto* file : kCaFiles) {
    if (access(file, R_OK) == 0) return {.file = file, .folder = {}};
  }
  return {};
}

}  // namespace

struct HttpClient::Curl {
  CURL* handle = curl_easy_init();
  curl_slist* headers = nullptr;
  curl_slist* connect_to = nullptr;
  std::string host_header;  // empty: libcurl's own
  bool needs_ca_store = false;
  char error[CURL_ERROR_SIZE] = {};

  ~Curl() {
    curl_easy_cleanup(handle);
    curl_slist_free_all(headers);
    curl_slist_free_all(connect_to);
  }

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_easy_setopt(handle, option, value);
  }

  /// Empty text leaves libcurl's default.
  void set_if(CURLoption option, const std::string& text) {
    if (!text.empty()) set(option, text.c_str());
  }

  void set_tls(const EndpointConfig& config) {
    const auto& tls = config.tls;
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, tls.insecure_skip_verify ? 0L : 1L);
    set(CURLOPT_SSL_VERIFYHOST, tls.insecure_skip_verify ? 0L : 2L);
    needs_ca_store = (config.url.starts_with("https:") && !tls.insecure_skip_verify) ||
                     config.proxy_url.starts_with("https:");
    if (!tls.ca_file.empty()) {
      needs_ca_store = false;
      set_ca_store({.file = tls.ca_file, .folder = {}});
    }
    set_if(CURLOPT_SSLCERT, tls.cert_file);
    set_if(CURLOPT_SSLKEY, tls.key_file);
    if (!tls.server_name.empty()) set_server_name(config);
  }

  /// In the place of the one that libcurl was built with, if any. A proxy is trusted like the
  /// server.
  void set_ca_store(const CaStore& store) {
    const auto* const file = store.file.empty() ? nullptr : store.file.c_str();
    const auto* const folder = store.folder.empty() ? nullptr : store.folder.c_str();
    for (const auto option : {CURLOPT_CAINFO, CURLOPT_PROXY_CAINFO}) set(option, file);
    for (const auto option : {CURLOPT_CAPATH, CURLOPT_PROXY_CAPATH}) set(option, folder);
  }

  /// Looked for until it is found: it may be installed while the agent runs.
  Result<void> find_ca_store_once() {
    if (!needs_ca_store) return {};
    const auto store = find_ca_store();
    if (store.file.empty() && store.folder.empty()) {
      std::string looked;
      for (const auto* file : kCaFiles) looked += cat(looked.empty() ? "" : ", ", file);
      return failed(cat("no CA certificates to verify the server with: this host has none of ",
                        looked, "; install its package ca-certificates or set tls.ca_file"));
    }
    set_ca_store(store);
    needs_ca_store = false;
    return {};
  }

  /// The name that the certificate must have is, for libcurl, the URL's host: so the URL gets that
  /// name, the connection goes where the URL pointed, and the request still names the real host.
  void set_server_name(const EndpointConfig& config) {
    CURLU* const url = curl_url();
    char* host = nullptr;
    char* port = nullptr;
    char* renamed = nullptr;
    if (curl_url_set(url, CURLUPART_URL, config.url.c_str(), 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_HOST, config.tls.server_name.c_str(), 0) == CURLUE_OK &&
        curl_url_get(url, CURLUPART_URL, &renamed, 0) == CURLUE_OK) {
      const auto route = cat(config.tls.server_name, ":", port, ":", host, ":", port);
      connect_to = curl_slist_append(nullptr, route.c_str());
      set(CURLOPT_CONNECT_TO, connect_to);
      set(CURLOPT_URL, renamed);
      host_header = cat("Host: ", host, ":", port);
    }
    for (char* part : {host, port, renamed}) curl_free(part);
    curl_url_cleanup(url);
  }

  /// After a failure: c-ares reads /etc/resolv.conf when a handle is made, and the network of a
  /// host may come, or change, after that.
  void start_over() {
    CURL* const fresh = curl_easy_duphandle(handle);
    if (fresh == nullptr) return;
    curl_easy_cleanup(handle);
    handle = fresh;
  }

  void clear_headers() {
    curl_slist_free_all(headers);
    headers = nullptr;
  }
  void add_header(const std::string& line) { headers = curl_slist_append(headers, line.c_str()); }

  std::string failure(CURLcode code) {
    long system_error = 0;
    curl_easy_getinfo(handle, CURLINFO_OS_ERRNO, &system_error);
    switch (code) {
      case CURLE_COULDNT_CONNECT:
        if (system_error != 0) return errno_text(static_cast<int>(system_error));
        break;
      case CURLE_COULDNT_RESOLVE_HOST:
        return "the host name does not resolve";
      case CURLE_OPERATION_TIMEDOUT:
        return "no answer in time";
      case CURLE_WRITE_ERROR:
        return "the answer does not end";
      case CURLE_ABORTED_BY_CALLBACK:
        return "given up because the agent stops";
      case CURLE_GOT_NOTHING:
        return "the connection was closed without an answer";
      default:
        break;
    }
    return one_line(error[0] != '\0' ? error : curl_easy_strerror(code));
  }
};

void init_http() {
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

HttpClient::HttpClient(const EndpointConfig& config, const std::atomic<std::int64_t>& give_up_at_ns)
    : config_(config), give_up_at_ns_(give_up_at_ns), curl_(std::make_unique<Curl>()) {
  auto& curl = *curl_;
  const auto timeout_ms = static_cast<long>(config.timeout.count());
  curl.set(CURLOPT_URL, config.url.c_str());
  curl.set_tls(config);
  curl.set_if(CURLOPT_PROXY, config.proxy_url);
  curl.set(CURLOPT_PROTOCOLS_STR, "http,https");
  curl.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl.set(CURLOPT_NOSIGNAL, 1L);
  curl.set(CURLOPT_POST, 1L);
  curl.set(CURLOPT_TIMEOUT_MS, timeout_ms);
  curl.set(CURLOPT_CONNECTTIMEOUT_MS, timeout_ms);
  curl.set(CURLOPT_TCP_KEEPALIVE, 1L);
  curl.set(CURLOPT_ERRORBUFFER, curl.error);
  curl.set(CURLOPT_WRITEFUNCTION, on_body);
  curl.set(CURLOPT_NOPROGRESS, 0L);
  curl.set(CURLOPT_XFERINFOFUNCTION, on_progress);
  curl.set(CURLOPT_XFERINFODATA, const_cast<std::atomic<std::int64_t>*>(&give_up_at_ns_));
}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::post(std::string_view body, const std::vector<std::string>& headers) {
  auto& curl = *curl_;
  HttpAnswer answer;

  // Secrets are read at every request: a rotated one is in force at once, and none stays in a
  // long-lived copy.
  const auto password = read_secret(config_.password, config_.password_file);
  const auto token = read_secret(config_.bearer_token, config_.bearer_token_file);
  for (const auto* secret : {&password, &token}) {
    if (!*secret) {
      answer.error = secret->error().text;
      return answer;
    }
  }
  if (const auto found = curl.find_ca_store_once(); !found) {
    answer.error = found.error().text;
    return answer;
  }
  curl.clear_headers();
  for (const auto& line : headers) curl.add_header(line);
  for (const auto& [name, value] : config_.headers) curl.add_header(cat(name, ": ", value));
  if (!curl.host_header.empty()) curl.add_header(curl.host_header);
  curl.add_header("Expect:");  // no round trip for 100-continue
  curl.add_header("Accept:");
  if (!token->empty()) curl.add_header(cat("Authorization: Bearer ", *token));
  if (!config_.username.empty()) {
    curl.set(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl.set(CURLOPT_USERNAME, config_.username.c_str());
    curl.set(CURLOPT_PASSWORD, password->c_str());
  }

  Received received;
  curl.error[0] = '\0';
  curl.set(CURLOPT_HTTPHEADER, curl.headers);
  curl.set(CURLOPT_WRITEDATA, &received);
  curl.set(CURLOPT_POSTFIELDS, body.data());
  curl.set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  const auto code = curl_easy_perform(curl.handle);
  if (code != CURLE_OK) {
    answer.error = curl.failure(code);
    curl.start_over();
    return answer;
  }
  long status = 0;
  curl_easy_getinfo(curl.handle, CURLINFO_RESPONSE_CODE, &status);
  answer.status = static_cast<int>(status);
  answer.body = one_line(std::move(received.body));
  return answer;
}

}  // namespace msp
