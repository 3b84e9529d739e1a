#include "agent/config/endpoint.h"

#include <sys/stat.h>

#include <algorithm>

#include "agent/core/text.h"

namespace msp {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

// What the agent sets itself, and what would change whom or how the request reaches.
constexpr std::string_view kOwnHeaders[] = {
    "authorization",     "connection",   "content-encoding",
    "content-length",    "content-type", "host",
    "transfer-encoding", "user-agent",   "x-prometheus-remote-write-version"};

std::string lower(std::string_view text) {
  std::string lowered(text);
  for (auto& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// What is wrong with an http or https URL; empty: nothing. `text` is never repeated: it may hold a
/// password.
std::string url_problem(std::string_view text) {
  const auto scheme_end = text.find("://");
  const auto scheme = lower(text.substr(0, scheme_end == text.npos ? 0 : scheme_end));
  if (scheme != "http" && scheme != "https") {
    return "expected a URL that begins with http:// or https://";
  }
  const auto is_bad = [](unsigned char c) { return c <= 0x20 || c >= 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_bad)) {
    return "a URL has no spaces, control characters or letters beyond ASCII; write them as %20";
  }
  const auto authority = text.substr(scheme_end + 3);
  const auto host = authority.substr(0, authority.find_first_of("/?#"));
  if (host.find('@') != host.npos) {
    return "the URL holds a user or password; put them under basic_auth";
  }
  if (host.empty() || host.starts_with(':')) return "the URL has no host";
  return {};
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

class EndpointReader {
 public:
  EndpointReader(const Value& value, std::string path, std::vector<Problem>& problems,
                 std::vector<std::string>& warnings)
      : keys_(&value, std::move(path), problems), warnings_(warnings) {}

  EndpointConfig read() {
    read_url("url", endpoint_.url);
    if (!keys_.has("url")) keys_.wrong("url", "is required: the address samples are written to");
    std::size_t protocol = 0;
    keys_.choice("protocol", {"auto", "prometheus-1.0"}, protocol);
    read_auth();
    read_headers();
    read_tls();
    read_url("proxy_url", endpoint_.proxy_url);
    keys_.duration("timeout", milliseconds(100), hours(1), "100ms to 1h, such as 10s",
                   endpoint_.timeout);
    keys_.refuse_unknown();
    return std::move(endpoint_);
  }

 private:
  void read_url(std::string_view key, std::string& into) {
    std::string url;
    keys_.text(key, url);
    if (url.empty() && !keys_.has(key)) return;
    if (const auto problem = url_problem(url); !problem.empty()) {
      keys_.wrong(key, problem);
    } else {
      into = url;
    }
  }

  void read_auth() {
    auto basic = keys_.mapping("basic_auth");
    basic.text("username", endpoint_.username);
    read_secret(basic, "password", endpoint_.password, endpoint_.password_file);
    if (keys_.has("basic_auth") && endpoint_.username.empty()) {
      basic.wrong("username", "is required for basic_auth");
    }
    if (endpoint_.username.find(':') != std::string::npos || has_control(endpoint_.username)) {
      basic.wrong("username", "must not hold a colon or control characters");
    }
    basic.refuse_unknown();
    read_secret(keys_, "bearer_token", endpoint_.bearer_token, endpoint_.bearer_token_file);
    const bool has_token = keys_.has("bearer_token") || keys_.has("bearer_token_file");
    if (has_token && keys_.has("basic_auth")) {
      keys_.wrong("basic_auth", "give basic_auth or a bearer token, not both");
    }
  }

  /// `key` or `key`_file, not both.
  void read_secret(Mapping& keys, const std::string& key, std::string& secret, std::string& file) {
    keys.text(key, secret);
    const auto file_key = key + "_file";
    keys.text(file_key, file);
    if (!secret.empty() && !file.empty()) {
      keys.wrong(key, cat("give ", key, " or ", file_key, ", not both"));
    }
    if (has_control(secret)) keys.wrong(key, "must not hold control characters");
    struct stat status {};
    if (!file.empty() && ::stat(file.c_str(), &status) == 0 && (status.st_mode & S_IROTH) != 0) {
      warnings_.push_back(
          cat(keys.path(file_key), ": everybody on this host can read ", file, "; chmod 640 it"));
    }
  }

  void read_headers() {
    for (const auto& [name, place, value] : keys_.entries("headers")) {
      const auto key = cat("headers.", name);
      if (!is_header_name(name)) {
        keys_.wrong_at(place, key, "is not the name of an HTTP header");
      } else if (std::find(std::begin(kOwnHeaders), std::end(kOwnHeaders), lower(name)) !=
                 std::end(kOwnHeaders)) {
        keys_.wrong_at(place, key, "is set by the agent itself");
      } else if (has_control(value.text)) {
        keys_.wrong_at(value.place, key, "must not hold control characters");
      } else {
        endpoint_.headers[name] = value.text;
      }
    }
  }

  void read_tls() {
    auto tls = keys_.mapping("tls");
    tls.text("ca_file", endpoint_.tls.ca_file);
    tls.text("cert_file", endpoint_.tls.cert_file);
    tls.text("key_file", endpoint_.tls.key_file);
    tls.text("server_name", endpoint_.tls.server_name);
    tls.flag("insecure_skip_verify", endpoint_.tls.insecure_skip_verify);
    if (endpoint_.tls.cert_file.empty() != endpoint_.tls.key_file.empty()) {
      tls.wrong(endpoint_.tls.cert_file.empty() ? "cert_file" : "key_file",
                "cert_file and key_file go together");
    }
    tls.refuse_unknown();
  }

  Mapping keys_;
  std::vector<std::string>& warnings_;
  EndpointConfig endpoint_;
};

}  // namespace

std::vector<EndpointConfig> read_endpoints(Mapping& top, std::vector<Problem>& problems,
                                           std::vector<std::string>& warnings) {
  std::vector<EndpointConfig> endpoints;
  const auto* value = top.find("remote_write");
  if (value == nullptr || (value->kind == Value::Kind::list && value->list.empty())) {
    top.wrong("remote_write", "is required: where samples go (remote_write: {url: https://..})");
    return endpoints;
  }
  if (value->kind != Value::Kind::list) {
    endpoints.push_back(EndpointReader(*value, "remote_write.", problems, warnings).read());
    return endpoints;
  }
  for (std::size_t i = 0; i < value->list.size(); ++i) {
    const auto& item = value->list[i];
    const auto path = cat("remote_write[", i, "]");
    auto endpoint = EndpointReader(item, path + ".", problems, warnings).read();
    const auto same = std::find_if(endpoints.begin(), endpoints.end(), [&](const auto& other) {
      return other.name() == endpoint.name();
    });
    if (!endpoint.url.empty() && same != endpoints.end()) {
      problems.push_back(
          {item.place, cat(path, ".url: the same as in remote_write[", same - endpoints.begin(),
                           "]; samples would arrive twice")});
    }
    endpoints.push_back(std::move(endpoint));
  }
  return endpoints;
}

}  // namespace msp
