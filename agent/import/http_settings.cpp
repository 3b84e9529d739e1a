#include "agent/import/http_settings.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/validators.h"

namespace msp::import {
namespace {

/// The path of a file whose content `setting` is, as our configuration writes it; empty where it
/// is none that it takes.
std::string path_of(const MappingReader& part, const Setting& setting) {
  if (!setting.is(Setting::Kind::file)) return "";
  auto text = setting;
  text.kind = Setting::Kind::text;
  if (std::string why; !text_of(text, why)) return "";
  const auto known = part.known(setting.text);
  const bool is_absolute = known ? known->starts_with('/') : setting.text.starts_with("${");
  return is_absolute || setting.text.starts_with('/') ? setting.text : "";
}

/// A secret that stands in the file, or the file that it is in. Where it is neither, what it is
/// must be filled in.
void read_secret(MappingReader& part, std::string_view key, std::string_view file_key,
                 std::string& secret, std::string& file) {
  if (const auto path = part.file_path(file_key)) file = *path;
  const auto* const setting = part.find(key);
  if (setting == nullptr || setting->is(Setting::Kind::empty)) return;
  if (setting->is(Setting::Kind::file)) {
    file = path_of(part, *setting);
    if (file.empty()) {
      part.to_do(key, "the path of its file is no absolute one; name it as one");
    }
    return;
  }
  std::string why;
  const auto text = text_of(*setting, why);
  if (!text) return part.to_do(key, cat(why, "; fill it in"));
  if (text->empty()) return;
  if (!file.empty()) return part.left_out(key, cat(file_key, " is set as well"));
  secret = *text;
  if (const auto known = part.known(text); known && known->empty()) {
    part.to_do(key, "its variable is set to nothing; set it to the secret");
  } else if (variables_of(secret).empty()) {
    part.to_do(key,
               "the secret stands in the file itself; keep the file from others with "
               "chmod 0640, or move the secret to a file of its own");
  }
}

/// Without a user and a password the centre would answer 401, so what of the two is not known is
/// left to be filled in.
void read_basic_auth(MappingReader part, ImportedHttp& out) {
  constexpr std::string_view kFillIn = "fill it in, under basic_auth";
  if (!part.is_present()) return;
  out.has_login = true;
  std::string why;
  const auto* const username = part.find("username");
  const auto* const username_file = part.find("username_file");
  const auto text = username != nullptr ? text_of(*username, why) : std::nullopt;
  const auto known = part.known(text);
  if (text && !text->empty() && !known) {
    out.username = *text;
  } else if (known && config::is_user_name(*known)) {
    out.username = *text;
  } else if (username_file != nullptr) {
    part.to_do("username_file", cat("msp-agent has no file for a user's name; ", kFillIn));
  } else if (known && !known->empty()) {
    part.to_do("username", cat("a user name with ':'; ", kFillIn));
  } else {
    part.to_do("username", cat(why.empty() ? "a login without a user name" : why, "; ", kFillIn));
  }
  read_secret(part, "password", "password_file", out.password, out.password_file);
  const bool has_password =
      part.value("password") != nullptr || part.value("password_file") != nullptr;
  if (!has_password) part.to_do("password", cat("a login without a password; ", kFillIn));
  part.finish();
}

void read_bearer(MappingReader& part, ImportedHttp& out) {
  ImportedHttp bearer;
  read_secret(part, "bearer_token", "bearer_token_file", bearer.bearer_token,
              bearer.bearer_token_file);
  bool is_set = part.value("bearer_token") != nullptr || part.value("bearer_token_file") != nullptr;
  auto authorization = part.part("authorization");
  const auto type = authorization.text("type").value_or("Bearer");
  if (lower_case(type) == "bearer") {
    read_secret(authorization, "credentials", "credentials_file", bearer.bearer_token,
                bearer.bearer_token_file);
    is_set = is_set || authorization.value("credentials") != nullptr ||
             authorization.value("credentials_file") != nullptr;
  } else {
    authorization.find("credentials");
    authorization.find("credentials_file");
    authorization.left_out("type", cat(quoted(type), ": ", kNoLogin));
  }
  authorization.finish();
  if (!is_set) return;
  if (out.has_login) {
    return part.left_out(part.value("authorization") != nullptr ? "authorization" : "bearer_token",
                         "basic_auth is set as well; there is one login");
  }
  out.has_bearer = true;
  out.bearer_token_file = bearer.bearer_token_file;
  if (out.bearer_token_file.empty()) out.bearer_token = bearer.bearer_token;
}

/// A list of one value, and what Prometheus' http_headers makes of one, is that value.
const Setting& single_value(const Setting& value) {
  if (value.is(Setting::Kind::list) && value.items.size() == 1) return value.items.front();
  if (!value.is(Setting::Kind::mapping) || value.entries.size() != 1) return value;
  const auto& [key, at, values] = value.entries.front();
  return key == "values" || key == "secrets" ? single_value(values) : value;
}

void read_headers(MappingReader& part, std::string_view key, ConvertContext& context,
                  HeadersOf headers_of, ImportedHttp& out) {
  const auto* const headers = part.find(key);
  if (headers == nullptr || headers->is(Setting::Kind::empty)) return;
  if (!headers->is(Setting::Kind::mapping)) {
    std::string why = "not a mapping of names to values";
    text_of(*headers, why);
    return part.left_out(key, why);
  }
  for (const auto& [name, at, value] : headers->entries) {
    const auto named = cat(part.path(key), ".", one_line(name), ": ");
    const bool is_known =
        std::any_of(out.headers.begin(), out.headers.end(),
                    [&](const auto& other) { return lower_case(other.first) == lower_case(name); });
    const auto& single = single_value(value);
    std::string why;
    const auto text = text_of(single, why);
    const bool is_many = single.is(Setting::Kind::list) || single.is(Setting::Kind::mapping);
    if (!config::is_header_name(name) || is_known) {
      context.notes.left_out(at, cat(named, is_known ? "set twice" : "no header has such a name"));
    } else if (const auto lower = lower_case(name);
               config::is_reserved_header(name) &&
               !(headers_of == HeadersOf::probe && (lower == "host" || lower == "content-type"))) {
      context.notes.left_out(
          at, cat(named, "msp-agent sets this header itself",
                  lower == "authorization"         ? "; use basic_auth or bearer_token"
                  : lower == "proxy-authorization" ? "; use user:password@ in proxy_url"
                                                   : ""));
    } else if (is_many || single.is(Setting::Kind::empty) || (text && text->empty())) {
      context.notes.left_out(at, cat(named, text ? "empty" : why));
    } else {
      // Without it, samples may go to another tenant; refused until it is filled in.
      if (!text) context.notes.to_do(at, cat(named, why, "; fill it in, under headers"));
      out.headers.emplace_back(name, text.value_or(""));
    }
  }
}

void read_tls(MappingReader part, ImportedHttp& out) {
  if (const auto path = part.file_path("ca_file")) out.ca_file = *path;
  const auto cert = part.file_path("cert_file");
  const auto key = part.file_path("key_file");
  if (cert && key) {
    out.cert_file = *cert;
    out.key_file = *key;
  } else if (cert || key) {
    part.left_out(cert ? "cert_file" : "key_file", "a client certificate needs both files");
  }
  if (const auto name = part.text("server_name"); name && !name->empty()) {
    const auto known = part.known(name);
    if (known && !config::is_tls_server_name(*known)) {
      part.left_out("server_name", "not a host name");
    } else {
      out.server_name = *name;
    }
  }
  if (const auto skip = part.text("insecure_skip_verify"); skip && *skip == "true") {
    out.insecure_skip_verify = true;
  } else if (skip && *skip != "false") {
    part.left_out("insecure_skip_verify", "neither true nor false");
  }
  for (const auto* const pem : {"ca_pem", "cert_pem", "key_pem", "ca", "cert", "key"}) {
    if (const auto* const setting = part.find(pem); setting != nullptr) {
      const auto file =
          cat(std::string_view(pem).substr(0, std::string_view(pem).find('_')), "_file");
      if (const auto path = path_of(part, *setting); !path.empty()) {
        if (file == "ca_file") out.ca_file = path;
        if (file == "cert_file") out.cert_file = path;
        if (file == "key_file") out.key_file = path;
      } else {
        part.left_out(pem, cat("msp-agent reads certificates from files; write it to one and set ",
                               "tls.", file));
      }
    }
  }
  if (out.cert_file.empty() != out.key_file.empty()) {
    part.left_out("cert_pem", "a client certificate needs both tls.cert_file and tls.key_file");
    out.cert_file.clear();
    out.key_file.clear();
  }
  constexpr Explanation kTlsKeys[] = {
      {"min_version", Note::Kind::different, "msp-agent speaks TLS 1.2 and later"},
  };
  part.finish(kTlsKeys);
}

}  // namespace

std::string certificate_path(MappingReader& part, std::string_view pem_key,
                             std::string_view file_key) {
  const auto file = part.file_path(file_key).value_or("");
  const auto* const pem = part.find(pem_key);
  if (pem == nullptr || pem->is(Setting::Kind::empty)) return file;
  auto path = path_of(part, *pem);
  if (!path.empty()) return path;
  part.to_do(pem_key, cat("msp-agent reads certificates from files; write it to one and set tls.",
                          file_key));
  return file;
}

void read_login(MappingReader& part, ImportedHttp& out) {
  read_basic_auth(part.part("basic_auth"), out);
  read_bearer(part, out);
}

void read_http(MappingReader& part, ConvertContext& context, ImportedHttp& out, HeadersOf headers) {
  read_headers(part, "headers", context, headers, out);
  read_headers(part, "http_headers", context, headers, out);
  read_tls(part.part("tls_config"), out);
}

}  // namespace msp::import
