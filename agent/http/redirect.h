// Which redirects are followed, and what goes along. A redirect is advice from whoever answered: it
// is taken where the answer promises that a POST stays a POST (307, 308), or where all it asks for
// is TLS (301 or 302 to https on the same host); never from https to http. Who the agent is learns
// only the server of the configuration.
#pragma once

#include <string>

namespace msp {

/// The part of a URL that says whose it is.
struct Origin {
  bool https = false;
  std::string host;  // in lower case
  std::string port;  // also where the URL leaves it out

  bool operator==(const Origin&) const = default;
};

bool follows(int status, const Origin& from, const Origin& to);

/// Whether `to` may see what the server of the configuration, `home`, is shown: it is the same
/// server; or its other half, where plain http on port 80 sends people to https on port 443.
bool is_same_server(const Origin& home, const Origin& to);

}  // namespace msp
