// Which redirects are followed, and what goes along. A redirect is advice from whoever answered.
// Never from https to http. A GET or HEAD follows one that stays on its host. Any other request
// follows one that promises that it stays what it is (307, 308), or that only asks for TLS (301 or
// 302 to https on the same host). Who the agent is is told to the server of the options only.
#pragma once

#include <string>
#include <string_view>

namespace msp::http {

/// The part of a URL that says whose it is.
struct Origin {
  bool https = false;
  std::string host;  // in lower case
  std::string port;  // also where the URL leaves it out

  bool operator==(const Origin&) const = default;
};

bool follows(std::string_view method, int status, const Origin& from, const Origin& to);

/// Whether `to` may see what the server of the options, `home`, is shown: it is the same
/// server; or its other half, where plain http on port 80 sends people to https on port 443.
bool is_same_server(const Origin& home, const Origin& to);

}  // namespace msp::http
