// Who may ask: clients are known by a bearer token, or by a user name and a password. Secrets in files
// are read for every request, so that a changed file needs no restart. What a request brings is
// compared with what each client must bring, in a time that tells nothing about either.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/http/options.h"
#include "agent/listen/request.h"

namespace msp::listen {

/// One thread.
class ClientLogin {
 public:
  /// Of the options only the login counts. Without clients everybody may ask.
  explicit ClientLogin(std::vector<http::HttpOptions> clients) : clients_(std::move(clients)) {}

  /// 401 where the request is of none of the clients; else `head.client` says of which. A file that
  /// cannot be read is told to the log, once until all can be.
  std::optional<HttpReply> refuse(HttpRequestHead& head);

 private:
  const std::vector<http::HttpOptions> clients_;
  bool told_unreadable_ = false;
};

/// Whether the two are the same; how long that takes depends on the length of `given` alone.
bool is_same_secret(std::string_view given, std::string_view expected);

}  // namespace msp::listen
