#include "agent/import/receiver.h"

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "agent/base/text.h"
#include "agent/config/schema.h"
#include "agent/import/http_settings.h"

namespace msp::import {
namespace {

constexpr std::string_view kAlloyPort = "8080";  // where listen_port is not set

constexpr auto kDifferent = Note::Kind::different;
constexpr std::string_view kLimits =
    "not needed: msp-agent's limits are its own; docs/relay.md has them";

constexpr std::string_view kTls = "not needed: TLS 1.2 and 1.3, with OpenSSL's defaults";

// Of all of its mappings.
constexpr Explanation kKeys[] = {
    {"conn_limit", kDifferent, kLimits},
    {"server_read_timeout", kDifferent, kLimits},
    {"server_write_timeout", kDifferent, kLimits},
    {"server_idle_timeout", kDifferent, kLimits},
    {"http2", kDifferent, "not needed: senders speak HTTP/1.1 as well"},
    {"min_version", kDifferent, kTls},
    {"max_version", kDifferent, kTls},
    {"cipher_suites", kDifferent, kTls},
    {"curve_preferences", kDifferent, kTls},
    {"append_metadata", kDifferent, "not needed: what is received is handed on without metadata"},
    {"enable_type_and_unit_labels", kDifferent, "not needed: labels are handed on as they come"},
    {"accepted_remote_write_protobuf_messages", kDifferent,
     "not needed: msp-agent takes remote write 1.0 and 2.0"},
};

bool is_listen_address(std::string_view text) {
  return std::get<key_type::Text>(config::find_key("listen.address").type).is_good(text);
}

/// What `listen.address` takes, or nothing.
std::string address_of(MappingReader& http) {
  auto host = http.text("listen_address").value_or("");
  const auto port = http.text("listen_port").value_or(std::string(kAlloyPort));
  if (host == "localhost") host = "127.0.0.1";
  if (host.find(':') != std::string::npos && !host.starts_with('[') && !host.starts_with("${")) {
    host = cat("[", host, "]");
  }
  auto address = cat(host, ":", port);
  const auto known = http.known(address);
  if (!known || is_listen_address(*known)) return address;
  http.to_do("listen_address", cat(quoted(address), ": msp-agent listens at an IP address and a ",
                                   "port; fill it in, under listen"));
  return "";
}

void read_tls(MappingReader tls, ImportedListen& out) {
  out.has_tls = tls.is_present();
  out.cert_file = certificate_path(tls, "cert_pem", "cert_file");
  out.key_file = certificate_path(tls, "key_pem", "key_file");
  const auto type = tls.text("client_auth_type").value_or("NoClientCert");
  const auto ca_file = certificate_path(tls, "client_ca_pem", "client_ca_file");
  if (type == "RequireAndVerifyClientCert") {
    out.client_ca_file = ca_file;
    out.needs_certificates = true;
  } else if (type != "NoClientCert") {
    tls.left_out("client_auth_type",
                 cat(quoted(type), ": msp-agent asks for a certificate and verifies it, or does ",
                     "not ask; tls.client_ca_file makes it ask"));
  }
  tls.finish(kKeys);
}

}  // namespace

ImportedListen convert_receiver(MappingReader& part) {
  ImportedListen out;
  out.at = part.at();
  out.title = part.name();
  auto http = part.part("http");
  out.address = address_of(http);
  read_tls(http.part("tls"), out);
  http.finish(kKeys);
  part.finish(kKeys);
  return out;
}

}  // namespace msp::import
