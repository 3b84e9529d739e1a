// A request as the server hands it on, and the answer to it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace msp::listen {

struct HttpRequestHead {
  std::string method;  // "GET"
  std::string path;    // as it was sent, without what begins at '?'
  std::string query;   // behind the '?', as it was sent
  struct Field {
    std::string name;  // in lower case
    std::string value;
  };
  std::vector<Field> fields;
  std::uint64_t content_length = 0;  // 0 where is_chunked
  bool is_chunked = false;
  bool expects_continue = false;
  bool keeps_alive = false;
  std::string peer;        // the bytes of the client's address; empty: a socket of this host
  std::size_t client = 0;  // which login it has; from RequestHandler::refuse()
  bool has_login = false;  // it has one; from there, too

  bool has_body() const { return is_chunked || content_length > 0; }

  /// The value of the first field of that name, which is in lower case; empty: there is none.
  std::string_view field(std::string_view name) const {
    for (const auto& one : fields) {
      if (one.name == name) return one.value;
    }
    return {};
  }
};

struct HttpReply {
  int status = 200;
  std::string_view content_type = "text/plain; charset=utf-8";
  std::shared_ptr<const std::string> body = {};  // null: none
  std::vector<std::string> fields = {};          // "Retry-After: 5"
  bool closes = false;                           // the connection, behind the answer
};

/// One line of text.
inline HttpReply text_reply(int status, std::string text) {
  return {.status = status, .body = std::make_shared<const std::string>(std::move(text) + "\n")};
}

}  // namespace msp::listen
