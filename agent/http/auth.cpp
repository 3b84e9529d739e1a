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

namespace msp {
namespace {

// Longer headers are refused by every server there is.
constexpr std::size_t kSecretBytesMax = 16 * 1024;
constexpr std::string_view kBasic = "Authorization: Basic ";
constexpr std::string_view kBearer = "Authorization: Bearer ";

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

/// RFC 4648, section 4.
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

Result<Secret> authorization(const EndpointConfig& config) {
  if (!config.username.empty()) {
    const auto password =
        read_secret(config.password, config.password_file, "basic_auth.password_file");
    if (!password) return password.error();
    Secret pair(config.username.size() + 1 + password->text().size());
    pair.append(config.username);
    pair.append(":");
    pair.append(password->text());
    Secret line(kBasic.size() + (pair.text().size() + 2) / 3 * 4);
    line.append(kBasic);
    append_base64(line, pair.text());
    return line;
  }
  if (config.bearer_token.empty() && config.bearer_token_file.empty()) return Secret(0);
  const auto token =
      read_secret(config.bearer_token, config.bearer_token_file, "bearer_token_file");
  if (!token) return token.error();
  Secret line(kBearer.size() + token->text().size());
  line.append(kBearer);
  line.append(token->text());
  return line;
}

void hide_secrets(std::string& text, const EndpointConfig& config, const Secret& authorization) {
  if (text.empty()) return;
  Redactor secrets;
  secrets.add(config.password);
  secrets.add(config.bearer_token);
  secrets.add_url(config.url);
  secrets.add_url(config.proxy_url);
  for (const auto& [name, value] : config.headers) secrets.add(value);
  // What came from a file is known from the line that was made of it.
  const std::string_view line = authorization.text();
  if (line.starts_with(kBasic)) {
    secrets.add(line.substr(kBasic.size()));
    secrets.add_basic_login(line.substr(kBasic.size()));
  } else if (line.starts_with(kBearer)) {
    secrets.add(line.substr(kBearer.size()));
  }
  secrets.hide_cut(text);
}

}  // namespace msp
