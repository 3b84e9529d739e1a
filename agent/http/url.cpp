#include "agent/http/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <new>

#include "agent/http/answer.h"

namespace msp::http {

namespace {

/// A URL in libcurl's hands.
class ParsedUrl {
 public:
  ParsedUrl() {
    if (parsed_ == nullptr) throw std::bad_alloc();
  }
  bool set(const std::string& text) {
    return is_ok(curl_url_set(parsed_.get(), CURLUPART_URL, text.c_str(), 0));
  }
  void drop(CURLUPart part) { curl_url_set(parsed_.get(), part, nullptr, 0); }
  std::string get(CURLUPart part, unsigned flags = 0) const {
    char* value = nullptr;
    if (!is_ok(curl_url_get(parsed_.get(), part, &value, flags))) return {};
    std::string copy(value);
    curl_free(value);
    return copy;
  }

 private:
  /// Want of memory is no fault of the URL's.
  static bool is_ok(CURLUcode code) {
    if (code == CURLUE_OUT_OF_MEMORY) throw std::bad_alloc();
    return code == CURLUE_OK;
  }

  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed_{curl_url(), curl_url_cleanup};
};

}  // namespace

Url parse_url(const std::string& text, const std::string& reference) {
  Url url;
  ParsedUrl parsed;
  if (!parsed.set(text) || (!reference.empty() && !parsed.set(reference))) return url;
  url.text = parsed.get(CURLUPART_URL);
  const auto scheme = parsed.get(CURLUPART_SCHEME);
  url.place = {.https = scheme == "https",
               .host = parsed.get(CURLUPART_HOST),
               .port = parsed.get(CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  std::transform(url.place.host.begin(), url.place.host.end(), url.place.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  url.path_and_query = parsed.get(CURLUPART_PATH);
  if (const auto query = parsed.get(CURLUPART_QUERY); !query.empty()) {
    url.path_and_query += '?' + query;
  }
  url.usable = (scheme == "http" || scheme == "https") && parsed.get(CURLUPART_USER).empty() &&
               parsed.get(CURLUPART_PASSWORD).empty() && !url.place.host.empty();
  for (const auto part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    parsed.drop(part);
  }
  url.shown = one_line(parsed.get(CURLUPART_URL));
  return url;
}

std::string percent_decoded(std::string_view text) {
  if (text.empty()) return {};  // 0 bytes are, for libcurl, all up to a NUL
  int size = 0;
  char* const decoded =
      curl_easy_unescape(nullptr, text.data(), static_cast<int>(text.size()), &size);
  if (decoded == nullptr) return {};
  std::string copy(decoded, static_cast<std::size_t>(size));
  curl_free(decoded);
  return copy;
}

}  // namespace msp::http
