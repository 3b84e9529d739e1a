#include "agent/http/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>
#include <memory>

#include "agent/http/answer.h"

namespace msp {

Url parse_url(const std::string& text, const std::string& reference) {
  Url url;
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  const auto part = [&](CURLUPart which, unsigned flags = 0) -> std::string {
    char* value = nullptr;
    if (curl_url_get(parsed.get(), which, &value, flags) != CURLUE_OK) return {};
    std::string copy(value);
    curl_free(value);
    return copy;
  };
  if (curl_url_set(parsed.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return url;
  if (!reference.empty() &&
      curl_url_set(parsed.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK) {
    return url;
  }
  url.text = part(CURLUPART_URL);
  const auto scheme = part(CURLUPART_SCHEME);
  url.place = {.https = scheme == "https",
               .host = part(CURLUPART_HOST),
               .port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  std::transform(url.place.host.begin(), url.place.host.end(), url.place.host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  url.path_and_query = part(CURLUPART_PATH);
  if (const auto query = part(CURLUPART_QUERY); !query.empty()) url.path_and_query += '?' + query;
  url.usable = (scheme == "http" || scheme == "https") && part(CURLUPART_USER).empty() &&
               part(CURLUPART_PASSWORD).empty() && !url.place.host.empty();
  for (const auto which :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    curl_url_set(parsed.get(), which, nullptr, 0);
  }
  url.shown = one_line(part(CURLUPART_URL));
  return url;
}

}  // namespace msp
