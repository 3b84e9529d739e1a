#include "agent/import/endpoint.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/url.h"
#include "agent/config/validators.h"
#include "agent/import/http_settings.h"

namespace msp::import {
namespace {

constexpr auto kLeftOut = Note::Kind::left_out;
constexpr auto kDifferent = Note::Kind::different;

constexpr Explanation kKeys[] = {
    {"queue_config", kDifferent,
     "not needed: msp-agent keeps every sample until it is delivered and sets its own pace; how "
     "long and how much it keeps is buffer.max_age and buffer.max_size"},
    {"metadata_config", kDifferent,
     "not needed: msp-agent sends each metric's type by itself where "
     "the endpoint takes it"},
    {"name", kDifferent, "not needed: msp-agent calls an endpoint by its address"},
    {"send_exemplars", kDifferent, "not needed: no metric of msp-agent has exemplars"},
    {"send_native_histograms", kDifferent, "not needed: no metric of msp-agent is a histogram"},
    {"enable_http2", kDifferent, "not needed"},
    {"protobuf_message", kDifferent, "not needed: remote_write.protocol is found out by itself"},
    {"follow_redirects", kDifferent,
     "msp-agent follows only what repeats the request (307, 308, and from http to https); set url "
     "to the final address"},
    {"proxy_from_environment", kLeftOut,
     "msp-agent takes its proxy from the configuration: proxy_url"},
    {"proxy_connect_header", kLeftOut, "msp-agent adds no headers for a proxy"},
    {"round_robin_dns", kLeftOut, "msp-agent uses the addresses as the resolver orders them"},
    {"oauth2", kLeftOut, kNoLogin},
    {"sigv4", kLeftOut, kNoLogin},
    {"azuread", kLeftOut, kNoLogin},
    {"google_iam", kLeftOut, kNoLogin},
};

/// https://user:password@host/..: a login that our configuration has a place for.
void split_login(MappingReader& part, ImportedEndpoint& out) {
  const auto scheme = out.url.find("://");
  if (scheme == std::string::npos) return;
  const auto begin = scheme + 3;
  const auto end = std::min(out.url.find_first_of("/?#", begin), out.url.size());
  const auto at = out.url.substr(0, end).rfind('@');
  if (at == std::string::npos || at < begin) return;
  const auto login = out.url.substr(begin, at - begin);
  out.url.erase(begin, at + 1 - begin);
  const auto colon = login.find(':');
  const bool is_plain = colon != std::string::npos && colon > 0 && colon + 1 < login.size() &&
                        login.find_first_of("%{") == std::string::npos;
  if (out.has_login || out.has_bearer) {
    return part.left_out("url", "the user before the '@': the endpoint has another login, too");
  }
  out.has_login = true;
  if (!is_plain) {
    return part.to_do("url",
                      "the user before the '@' is not carried over; fill it in, under basic_auth");
  }
  out.username = login.substr(0, colon);
  out.password = login.substr(colon + 1);
  part.to_do("url",
             "the user and password before the '@' are basic_auth now; keep the file from "
             "others with chmod 0640");
}

bool read_url(MappingReader& part, ImportedEndpoint& out) {
  const auto* const setting = part.find("url");
  const bool is_set = setting != nullptr && !setting->is(Setting::Kind::empty);
  const auto url = part.text("url");  // notes by itself what is no text
  if (is_set && !url) return false;
  if (!url || url->empty()) {
    part.left_out("url", "an endpoint without an address");
    return false;
  }
  out.url = *url;
  return true;
}

bool check_addresses(MappingReader& part, ImportedEndpoint& out) {
  if (const auto known = part.known(out.url)) {
    if (const auto checked = config::check_url(*known, config::UrlUser::refused); !checked) {
      part.left_out(
          "url", cat("an address with ", checked.error().text, "; the whole endpoint is left out"));
      return false;
    }
  }
  const auto proxy = part.text("proxy_url");
  if (!proxy || proxy->empty()) return true;
  const auto known = part.known(proxy);
  if (known && !config::check_url(*known, config::UrlUser::accepted)) {
    part.left_out("proxy_url", "not an address such as http://proxy.example.com:3128");
  } else {
    out.proxy_url = *proxy;
  }
  return true;
}

/// "host,.domain,10.0.0.0/8" as our list. A port is nothing that it has.
void read_no_proxy(MappingReader& part, ImportedEndpoint& out) {
  const auto text = part.text("no_proxy");
  if (!text) return;
  if (!variables_of(*text).empty()) {
    return part.left_out("no_proxy",
                         "a list that comes from a variable; write it as one: no_proxy: "
                         "[a.example.com, 10.0.0.0/8]");
  }
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto end = std::min(rest.find(','), rest.size());
    auto place = trim(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (place.empty()) continue;
    if (place.starts_with("*.")) place.remove_prefix(1);
    const auto colon = place.find(':');
    const bool has_port = place.find("]:") != std::string_view::npos ||
                          (colon != std::string_view::npos && colon == place.rfind(':'));
    if (has_port) {
      part.left_out("no_proxy", cat(quoted(place),
                                    ": msp-agent's no_proxy knows no ports; write the "
                                    "host alone if all of its ports are meant"));
    } else if (place != "*" && !config::is_proxy_exception(place)) {
      part.left_out("no_proxy", cat(quoted(place), ": no host, domain, address or network"));
    } else {
      out.no_proxy.emplace_back(place);
    }
  }
}

}  // namespace

std::optional<ImportedEndpoint> convert_endpoint(MappingReader& part, ConvertContext& context,
                                                 std::string title) {
  ImportedEndpoint out;
  out.at = part.at();
  out.title = std::move(title);
  if (!read_url(part, out)) {
    context.notes.left_out(part.at(),
                           cat(part.name(), ": the whole endpoint, for it has no address ",
                               "that can be carried over"));
    return std::nullopt;
  }
  read_login(part, out);
  split_login(part, out);
  read_http(part, context, out);
  if (const auto timeout = part.duration("remote_timeout", "remote_write.timeout"))
    out.timeout = *timeout;
  const bool is_usable = check_addresses(part, out);
  read_no_proxy(part, out);
  part.finish(kKeys);
  if (!is_usable) return std::nullopt;
  return out;
}

}  // namespace msp::import
