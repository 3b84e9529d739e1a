// One request with the redirects that it follows: where it goes next, and what is told to whom.
#pragma once

#include "agent/base/clock.h"
#include "agent/http/auth.h"
#include "agent/http/client.h"
#include "agent/http/connection.h"
#include "agent/http/options.h"
#include "agent/http/url.h"

namespace msp::http {

class Journey {
 public:
  /// `home` is the URL of the options. All outlive the journey. It begins now.
  Journey(const HttpOptions& options, const Url& home, const HttpRequest& request,
          const Login& login, const Clock& clock);

  /// Where it goes next.
  const Connection::Place& to() const { return to_; }
  /// Of the whole.
  const Connection::Deadline& deadline() const { return deadline_; }
  int redirects() const { return redirects_; }

  /// Makes the answer fit to be shown. True: it redirects, and the request goes on to to(); false: the
  /// journey ends with it.
  bool goes_on(HttpAnswer& answer);

 private:
  const HttpOptions& options_;
  const Url& home_;
  const HttpRequest& request_;
  const Login& login_;
  Connection::Place to_;
  Connection::Deadline deadline_;
  int redirects_ = 0;
};

}  // namespace msp::http
