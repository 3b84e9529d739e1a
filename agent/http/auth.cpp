#include "agent/http/auth.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "agent/base/file.h"
#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp::http {
namespace {

// Longer headers are refused by every server there is.
constexpr std::size_t kSecretBytesMax = 16 * 1024;

Error unreadable(std::string_view key, const std::string& file, int error) {
  auto text = cat(key, " ", file, " cannot be read: ", errno_text(error));
  if (error == EACCES) {
    text +=
        cat("; the agent's user must be able to: chgrp msp-agent ", file, " && chmod 640 ", file);
  } else if (error == ENOENT) {
    text += "; make it, or correct its path";
  }
  return failed(std::move(text));
}

/// `key` is what names the file in the configuration.
Result<Secret> read_secret(const std::string& inline_secret, const std::string& file,
                           std::string_view key) {
  Secret secret(kSecretBytesMax);
  if (file.empty()) {
    secret.append(inline_secret);
    return secret;
  }
  const Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return unreadable(key, file, errno);
  char part[1024];
  ssize_t got = 0;
  std::size_t size = 0;
  while ((got = read(fd.get(), part, sizeof part)) > 0 || (got < 0 && errno == EINTR)) {
    if (got < 0) continue;
    size += static_cast<std::size_t>(got);
    if (size <= kSecretBytesMax) secret.append({part, static_cast<std::size_t>(got)});
    explicit_bzero(part, sizeof part);
    if (size > kSecretBytesMax) {
      return failed(cat(key, " ", file, " is larger than ", kSecretBytesMax >> 10,
                        " KiB: it must hold the password or token and nothing else"));
    }
  }
  if (got < 0) return unreadable(key, file, errno);
  const auto line = trim(secret.text());
  if (line.empty())
    return failed(cat(key, " ", file, " is empty: it must hold the password or token"));
  // A line break inside would begin another header.
  if (std::any_of(line.begin(), line.end(), [](unsigned char c) { return std::iscntrl(c) != 0; })) {
    return failed(cat(key, " ", file,
                      " has several lines, or control characters: it must hold the ",
                      "password or token in a single line of text"));
  }
  Secret trimmed(line.size());
  trimmed.append(line);
  return trimmed;
}

/// RFC 4648, section 4. Not libcurl's, which would keep the password as long as the connection.
void append_base64(Secret& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      bits = bits << 8 | (at + i < bytes.size() ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    char digits[4];
    for (std::size_t i = 0; i < 4; ++i) digits[i] = kDigits[bits >> (18 - 6 * i) & 63];
    if (at + 2 >= bytes.size()) digits[3] = '=';
    if (at + 1 >= bytes.size()) digits[2] = '=';
    out.append({digits, sizeof digits});
  }
}

}  // namespace

Result<Login> log_in(const HttpOptions& options) {
  constexpr std::string_view kBasic = "Authorization: Basic ", kBearer = "Authorization: Bearer ";
  Login login;
  if (!options.username.empty()) {
    auto password =
        read_secret(options.password, options.password_file, "basic_auth.password_file");
    if (!password) return password.error();
    Secret pair(options.username.size() + 1 + password->text().size());
    pair.append(options.username);
    pair.append(":");
    pair.append(password->text());
    login.line = Secret(kBasic.size() + (pair.text().size() + 2) / 3 * 4);
    login.line.append(kBasic);
    append_base64(login.line, pair.text());
    login.secret = std::move(*password);
  } else if (!options.bearer_token.empty() || !options.bearer_token_file.empty()) {
    auto token = read_secret(options.bearer_token, options.bearer_token_file, "bearer_token_file");
    if (!token) return token.error();
    login.line = Secret(kBearer.size() + token->text().size());
    login.line.append(kBearer);
    login.line.append(token->text());
    login.secret = std::move(*token);
  }
  return login;
}

void hide_secrets(std::string& text, const HttpOptions& options, const Login& login) {
  if (text.empty()) return;
  Redactor secrets;
  secrets.add(login.secret.text());
  const auto& line = login.line.text();
  secrets.add(std::string_view(line).substr(line.rfind(' ') + 1));
  secrets.add(options.password);
  secrets.add(options.bearer_token);
  secrets.add_url(options.url);
  secrets.add_url(options.proxy_url);
  for (const auto& [name, value] : options.headers) secrets.add(value);
  secrets.hide_cut(text);
}

}  // namespace msp::http
