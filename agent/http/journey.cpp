#include "agent/http/journey.h"

#include <string>
#include <utility>

#include "agent/base/text.h"
#include "agent/http/redirect.h"

namespace msp::http {
namespace {

constexpr int kRedirectsMax = 5;
constexpr int kProbeRedirectsMax = 10;  // as blackbox_exporter
constexpr std::size_t kLocationBytesMax = 2048;

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

Journey::Journey(const HttpOptions& options, const Url& home, const HttpRequest& request,
                 const Login& login, const Clock& clock)
    : options_(options),
      home_(home),
      request_(request),
      login_(login),
      to_{home, true},
      deadline_{clock.monotonic_ns() + options.timeout.count() * kNsPerMs, options.timeout} {}

bool Journey::goes_on(HttpAnswer& answer) {
  hide_secrets(answer.words, options_, login_);
  answer.words = page_words(answer.words);  // after that: a secret may hold a '<'
  if (auto refusal = connection_refusal(answer.status, answer.words); !refusal.empty()) {
    answer.error = std::move(refusal);
    answer.status = 0;
  }
  if (answer.status == 0 && redirects_ > 0) {
    const auto shown = shown_without_secrets(to_.url, options_, login_);
    answer.error = cat("redirected to ", shown, ": ", answer.error);
  }
  const auto next = redirect_of(answer, to_.url);
  if (next.is_valid() || (redirects_ > 0 && answer.status != 0)) {
    answer.moved_to = shown_without_secrets(next.is_valid() ? next : to_.url, options_, login_);
  }
  // A probe looks where a browser would end. Who the agent is stays at home all the same.
  const bool is_free = request_.is_probe &&
                       (request_.method == "GET" || request_.method == "HEAD") &&
                       answer.status != 304 && answer.status != 300;
  const bool is_followed =
      options_.follow_redirects && next.usable &&
      redirects_ < (request_.is_probe ? kProbeRedirectsMax : kRedirectsMax) &&
      (is_free || follows(request_.method, answer.status, to_.url.place, next.place));
  if (!is_followed) return false;
  ++redirects_;
  to_ = {next, to_.is_home && is_same_server(home_.place, next.place)};
  return true;
}

}  // namespace msp::http
