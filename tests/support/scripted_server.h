// A server on 127.0.0.1, or on a Unix socket, that reads requests and answers with bytes from a script, right or wrong.
#pragma once

#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/base/file.h"

namespace msp::test {

struct Answer {
  std::string text = {};
  std::string repeated = {};           // after that, until the client is gone or `repeats` are done
  std::chrono::milliseconds pause{0};  // before each of those
  std::uint64_t repeats = UINT64_MAX;
  bool closes = false;
  bool reads_first = true;  // the request, before it answers
};

/// "HTTP/1.1 <line>" with these header lines and without a body.
inline Answer answer(const std::string& line, const std::string& headers = {}) {
  return {.text = "HTTP/1.1 " + line + "\r\n" + headers + "Content-Length: 0\r\n\r\n"};
}

/// A port of 127.0.0.1 that is this object's, and where nobody listens.
class ClosedPort {
 public:
  ClosedPort();
  int number() const { return number_; }

 private:
  Fd fd_;
  int number_ = 0;
};

/// One connection at a time. The answers are used up one per request, then it is 204.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<Answer> answers = {});
  /// On a socket of that path, which is removed with the server.
  ScriptedServer(std::vector<Answer> answers, const std::string& unix_path);
  ~ScriptedServer();

  void add(Answer answer);

  struct Request {
    int connection;  // counts from 1
    std::string head;
    std::string body;

    bool has(const std::string& text) const { return head.find(text) != std::string::npos; }
  };
  std::vector<Request> requests() const;
  std::string url(const std::string& path = "/w", const std::string& host = "127.0.0.1") const;
  int port() const { return port_; }

 private:
  void listen_on(const sockaddr* address, std::size_t size);
  void serve();
  void talk(int client, int connection);
  bool read_request(int client, int connection);
  bool write(int client, const Answer& answer);
  bool wait(int client, short events, int timeout_ms = -1);

  std::string unix_path_;
  Fd listener_;
  Fd stop_read_;
  Fd stop_write_;
  int port_ = 0;
  std::vector<Answer> answers_;
  std::size_t answered_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::thread thread_;
};

}  // namespace msp::test
