#include "agent/http/client.h"

#include <curl/curl.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "agent/base/clock.h"
#include "agent/http/auth.h"
#include "agent/http/connection.h"
#include "agent/http/journey.h"
#include "agent/http/tls/certificate.h"
#include "agent/http/url.h"
#include "agent/http/wiped_memory.h"

namespace msp::http {
namespace {

bool is_success(int status) {
  return status >= 200 && status < 300;
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
      connection_(std::make_unique<Connection>(options, std::move(stop), false, real_clock())) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::send(const HttpRequest& request, HttpTrace* trace) {
  const auto login = log_in(options_);
  if (!login) {
    HttpAnswer answer;
    answer.error = login.error().text;
    answer.is_own_fault = true;
    return answer;
  }
  Journey journey(options_, home_, request, *login, real_clock());
  for (;;) {
    auto answer = connection_->exchange(request, journey.to(), *login, journey.deadline(), trace);
    const bool goes_on = journey.goes_on(answer);
    if (trace != nullptr) trace->redirects = journey.redirects();
    if (goes_on) continue;
    if (!is_success(answer.status)) connection_->start_over();
    return answer;
  }
}

}  // namespace msp::http
