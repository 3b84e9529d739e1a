#include "agent/config/url.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/text.h"
#include "agent/http/url.h"

namespace msp::config {
namespace {

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool equal_ignoring_case(std::string_view text, std::string_view lower) {
  const auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; };
  return text.size() == lower.size() && std::equal(text.begin(), text.end(), lower.begin(), same);
}

/// "host", "host:port", "[address]:port"
Result<void> check_host(std::string_view authority) {
  auto host = authority.substr(0, authority.find(':'));
  if (authority.starts_with('[')) {
    const auto end = authority.find(']');
    if (end == std::string_view::npos) return failed("a '[' that is not closed");
    host = authority.substr(0, end + 1);
    if (host.size() < 4 || host.find_first_not_of("[]0123456789abcdefABCDEF:.") != host.npos) {
      return failed("something in '[]' that is not IPv6");
    }
  } else if (std::any_of(host.begin(), host.end(), [](char c) {
               return !is_alphanumeric(c) && c != '-' && c != '.' && c != '_';
             })) {
    return failed("a host name with a character that no host name has");
  }
  if (host.empty()) return failed("no host");
  const auto rest = authority.substr(host.size());
  if (rest.empty()) return {};
  const auto port = parse_number<std::uint16_t>(rest.substr(1));
  if (rest.front() != ':' || !port || *port == 0) return failed("a port that is not 1 to 65535");
  return {};
}

}  // namespace

bool is_proxy_exception(std::string_view text) {
  const auto is_in_place = [](char c) {
    return is_alphanumeric(c) || std::string_view(".-_:/[]").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), is_in_place);
}

Result<void> check_url(std::string_view url, UrlUser user) {
  // RFC 3986, section 2: everything else is percent-encoded.
  constexpr std::string_view kPunctuation = "-._~:/?#[]@!$&'()*+,;=%";
  for (const char c : url) {
    if (c == ' ') return failed("a space");
    if (!is_alphanumeric(c) && kPunctuation.find(c) == std::string_view::npos) {
      return failed("a character that must be percent-encoded");
    }
  }
  const auto separator = url.find("://");
  if (separator == std::string_view::npos) return failed("no scheme");
  const auto scheme = url.substr(0, separator);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) {
    return failed("a scheme that is not http or https");
  }
  auto authority = url.substr(separator + 3);
  authority = authority.substr(0, authority.find_first_of("/?#"));
  if (const auto at = authority.rfind('@'); at != std::string_view::npos) {
    if (user == UrlUser::refused) return failed("a user before the '@'");
    authority.remove_prefix(at + 1);
  }
  const auto checked = check_host(authority);
  // The client's parser has the last word: what it does not take never gets to a server.
  if (checked && !http::parse_url(std::string(url)).is_valid()) {
    return failed("a host that is neither a name nor an address");
  }
  return checked;
}

}  // namespace msp::config
