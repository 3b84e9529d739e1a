// A URL in its parts, as libcurl understands it, and as it may be shown.
#pragma once

#include <string>
#include <string_view>

#include "agent/base/text.h"
#include "agent/http/redirect.h"

namespace msp::http {

struct Url {
  std::string text;
  std::string shown;  // without user, query and fragment
  Origin place;
  std::string path_and_query;
  bool usable = false;  // http or https, and nobody's password inside

  bool is_valid() const { return !text.empty(); }
  std::string host_and_port() const { return cat(place.host, ":", place.port); }
  std::string origin() const { return cat(place.https ? "https://" : "http://", host_and_port()); }
};

/// `text`, and what `reference` means in it (RFC 3986, section 5). Not usable where it is no URL.
Url parse_url(const std::string& text, const std::string& reference = {});

/// "a b" of "a%20b".
std::string percent_decoded(std::string_view text);

}  // namespace msp::http
