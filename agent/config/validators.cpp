#include "agent/config/validators.h"

#include <algorithm>
#include <iterator>

#include "agent/base/text.h"
#include "agent/config/url.h"

namespace msp::config {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}

bool is_letter(char c) {
  return is_lower(c) || (c >= 'A' && c <= 'Z');
}

}  // namespace

bool is_customer_id(std::string_view id) {
  constexpr std::size_t kBytesMax = 63;
  const auto is_inner = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; };
  return !id.empty() && id.size() <= kBytesMax && id.front() != '-' && id.back() != '-' &&
         std::all_of(id.begin(), id.end(), is_inner);
}

bool is_plain_customer_id(std::string_view id) {
  return is_customer_id(id) && id == lower_case(id) && id.find('_') == id.npos;
}

bool is_user_name(std::string_view name) {
  return !name.empty() && name.find(':') == name.npos;
}

bool is_endpoint_name(std::string_view name) {
  constexpr std::size_t kBytesMax = 64;
  return !name.empty() && name.size() <= kBytesMax &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return is_digit(c) || is_letter(c) || c == '.' || c == '_' || c == '-';
         });
}

bool is_no_proxy_entry(std::string_view text) {
  return text == "*" || is_proxy_exception(text);
}

bool is_header_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return is_digit(c) || is_letter(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

bool is_reserved_header(std::string_view name) {
  constexpr std::string_view kReserved[] = {
      "host",       "content-type", "content-encoding", "content-length", "transfer-encoding",
      "connection", "expect",       "authorization",    "user-agent",     "proxy-authorization",
      "te",         "trailer",      "upgrade",          "keep-alive",     "accept-encoding"};
  const auto lower = lower_case(name);
  return std::find(std::begin(kReserved), std::end(kReserved), lower) != std::end(kReserved) ||
         lower.starts_with("x-prometheus-") || lower == "x-victoriametrics-remote-write-version";
}

bool is_tls_server_name(std::string_view name) {
  return check_url(cat("https://", name), UrlUser::refused).has_value() &&
         name.find_first_of(":/?#") == std::string_view::npos;
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && (is_letter(name.front()) || name.front() == '_') &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

}  // namespace msp::config
