#include "agent/listen/client_login.h"

#include <algorithm>
#include <utility>

#include "agent/base/log.h"
#include "agent/base/text.h"
#include "agent/http/auth.h"

namespace msp::listen {
namespace {

/// "bearer" of "Bearer x", which may be written in any letters (RFC 9110, section 11.1).
std::string scheme_of(std::string_view line) {
  return lower_case(line.substr(0, line.find(' ')));
}

std::string_view behind_scheme(std::string_view line) {
  const auto blank = line.find(' ');
  return blank == line.npos ? std::string_view() : trim(line.substr(blank));
}

}  // namespace

bool is_same_secret(std::string_view given, std::string_view expected) {
  volatile unsigned difference = given.size() == expected.size() && !expected.empty() ? 0 : 1;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const unsigned other =
        expected.empty() ? 0 : static_cast<unsigned char>(expected[i % expected.size()]);
    difference = difference | (static_cast<unsigned char>(given[i]) ^ other);
  }
  return difference == 0;
}

std::optional<HttpReply> ClientLogin::refuse(HttpRequestHead& head) {
  if (clients_.empty()) return std::nullopt;
  const auto given = head.field("authorization");
  bool is_known = false;
  std::string unreadable;
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    const auto login = http::log_in(clients_[i]);
    if (!login) {
      unreadable = login.error().text;
      continue;
    }
    // "Authorization: Bearer x"
    const auto expected = behind_scheme(login->line.text());
    const bool is_same = is_same_secret(behind_scheme(given), behind_scheme(expected));
    if (!is_same || scheme_of(given) != scheme_of(expected)) continue;
    if (!std::exchange(is_known, true)) head.client = i;
  }
  if (!unreadable.empty() && !told_unreadable_) {
    log_error(cat("listen.clients: ", unreadable, "; until then nobody can log in with it"));
  }
  told_unreadable_ = !unreadable.empty();
  head.has_login = is_known;
  if (is_known) return std::nullopt;
  auto reply = text_reply(401, "Unauthorized");
  const auto has_basic =
      std::ranges::any_of(clients_, [](const auto& client) { return !client.username.empty(); });
  reply.fields.emplace_back(has_basic ? "WWW-Authenticate: Basic realm=\"msp-agent\""
                                      : "WWW-Authenticate: Bearer");
  reply.closes = true;
  return reply;
}

}  // namespace msp::listen
