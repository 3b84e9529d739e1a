#include "agent/http/redirect.h"

namespace msp::http {

bool follows(std::string_view method, int status, const Origin& from, const Origin& to) {
  if (from.https && !to.https) return false;
  if (method == "GET" || method == "HEAD") {
    const bool is_redirect = (status >= 301 && status <= 303) || status == 307 || status == 308;
    return is_redirect && from.host == to.host;
  }
  if (status == 307 || status == 308) return true;
  const bool only_asks_for_tls = !from.https && to.https && from.host == to.host;
  return (status == 301 || status == 302) && only_asks_for_tls;
}

bool is_same_server(const Origin& home, const Origin& to) {
  if (home == to) return true;
  return home.host == to.host && !home.https && home.port == "80" && to.https && to.port == "443";
}

}  // namespace msp::http
