// A client's options, its POST and a file with a secret, for the tests of agent/http.
#pragma once

#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/base/text.h"
#include "agent/http/client.h"

namespace msp::test {

inline const std::string kBody("a\0body\r\n", 8);

/// For what ends at its timeout behind the head of an answer: on a busy machine a head may need the
/// second of them, or the third.
inline constexpr std::array kTimeouts{std::chrono::milliseconds(300),
                                      std::chrono::milliseconds(3000),
                                      std::chrono::milliseconds(30'000)};

inline http::HttpOptions options_for(const std::string& url) {
  static const bool once = (http::init_http(), true);
  http::HttpOptions options;
  options.url = url;
  options.timeout = std::chrono::seconds(once ? 60 : 0);
  return options;
}

inline http::HttpAnswer post(http::HttpClient& client, const std::string& body = kBody) {
  return client.send({.method = "POST", .headers = {"X-Ours: 1"}, .body = body});
}

inline http::HttpAnswer post(const http::HttpOptions& options, const std::string& body = kBody) {
  http::HttpClient client(options);
  return post(client, body);
}

class SecretFile {
 public:
  explicit SecretFile(const std::string& text) { write(text); }
  ~SecretFile() { std::filesystem::remove(path_); }
  void write(const std::string& text) const { std::ofstream(path_) << text; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = cat("/tmp/msp-agent-secret-", getpid());
};

}  // namespace msp::test
