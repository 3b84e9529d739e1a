#include "agent/http/client.h"

#include <curl/curl.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/http/auth.h"
#include "agent/http/connection.h"
#include "agent/http/redirect.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/url.h"
#include "agent/http/wiped_memory.h"

namespace msp {
namespace {

constexpr int kRedirectsMax = 5;
constexpr std::size_t kLocationBytesMax = 2048;

bool is_success(int status) {
  return status >= 200 && status < 300;
}

/// Where the answer of `from` redirects to; not usable where it does not.
Url redirect_of(const HttpAnswer& answer, const Url& from) {
  const auto location = answer.header("Location");
  const bool is_redirect = answer.status >= 300 && answer.status < 400 && !location.empty() &&
                           location.size() <= kLocationBytesMax;
  return is_redirect ? parse_url(from.text, std::string(location)) : Url{};
}

/// `url` as it may be shown. Where a secret of ours is in its path, only whose it is.
std::string shown_without_secrets(const Url& url, const HttpOptions& options, const Login& login) {
  for (auto text : {url.shown, percent_decoded(url.shown)}) {
    const auto before = text;
    hide_secrets(text, options, login);
    if (text != before) return cat(url.origin(), "/***");
  }
  return url.shown;
}

}  // namespace

void init_http() {
  // What it frees was often a header with a password.
  curl_global_init_mem(CURL_GLOBAL_DEFAULT, std::malloc, wiping_free, wiping_realloc, strdup,
                       std::calloc);
  init_tls();
}

HttpClient::HttpClient(const HttpOptions& options, StopToken stop)
    : options_(options),
      home_(parse_url(options.url)),
      connection_(std::make_unique<Connection>(options, std::move(stop))) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::send(const HttpRequest& request, HttpTrace* trace) {
  const auto login = log_in(options_);
  if (!login) {
    HttpAnswer answer;
    answer.error = login.error().text;
    answer.is_own_fault = true;
    return answer;
  }
  auto answer = follow(request, *login, trace);
  if (!is_success(answer.status)) connection_->start_over();
  return answer;
}

HttpAnswer HttpClient::follow(const HttpRequest& request, const Login& login, HttpTrace* trace) {
  const auto now_ns = monotonic_ns();
  Connection::Deadline deadline{now_ns + options_.timeout.count() * kNsPerMs, options_.timeout};
  if (request.deadline_ns != 0) {
    const auto left_ms = (request.deadline_ns - now_ns + kNsPerMs / 2) / kNsPerMs;
    deadline = {request.deadline_ns, std::chrono::milliseconds(left_ms)};
  }
  Connection::Place to{home_, true};
  for (int redirects = 0;; ++redirects) {
    auto answer = connection_->exchange(request, to, login, deadline, trace);
    if (trace != nullptr) trace->redirects = redirects;
    hide_secrets(answer.words, options_, login);
    answer.words = page_words(answer.words);  // after that: a secret may hold a '<'
    if (auto refusal = connection_refusal(answer.status, answer.words); !refusal.empty()) {
      answer.error = std::move(refusal);
      answer.status = 0;
    }
    if (answer.status == 0 && redirects > 0) {
      const auto shown = shown_without_secrets(to.url, options_, login);
      answer.error = cat("redirected to ", shown, ": ", answer.error);
    }
    const auto next = redirect_of(answer, to.url);
    if (next.is_valid() || (redirects > 0 && answer.status != 0)) {
      answer.moved_to = shown_without_secrets(next.is_valid() ? next : to.url, options_, login);
    }
    const bool is_followed = options_.follow_redirects && next.usable &&
                             redirects < kRedirectsMax &&
                             follows(request.method, answer.status, to.url.place, next.place);
    if (!is_followed) return answer;
    to = {next, to.is_home && is_same_server(home_.place, next.place)};
  }
}

}  // namespace msp
