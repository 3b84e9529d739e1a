// HTTP/1.1 requests out of bytes, one after the other. Strict: what two programs in a row could read
// in two ways is refused, so that none can hide a request in another one's body.
//
// Refused beside what the parser of Boost.Beast refuses: a head of more than 16 KiB or 64 fields; a
// line that ends without CR; a folded field; a blank before a colon; no Host or two; two lengths, a
// length with an encoding, one that is not all digits; an encoding other than `chunked`; both with
// HTTP/1.0; other versions.
//
// The owner of Boost.Beast.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/listen/request.h"

namespace msp::listen {

class RequestParser {
 public:
  static constexpr std::size_t kHeadBytesMax = 16 * 1024;
  static constexpr std::size_t kFieldsMax = 64;

  enum class State {
    head,  // more of it is needed
    body,  // the head is there, and more of the body is needed
    done,  // all of the request is there
    bad,   // status() and problem() say why; no further byte is looked at
  };

  RequestParser();
  ~RequestParser();

  /// Takes from the front of `bytes` what belongs to this request and cuts it off. Stops once behind
  /// the head, so that the caller can look at it before it takes the body.
  State put(std::string& bytes);

  /// A body of more bytes is bad, with 413. Call it behind the head.
  void limit_body(std::size_t bytes_max) { body_bytes_max_ = bytes_max; }

  State state() const { return state_; }
  const HttpRequestHead& head() const { return head_; }
  HttpRequestHead& head() { return head_; }
  std::string& body() { return body_; }
  std::size_t body_bytes() const { return body_.size(); }
  int status() const { return status_; }
  std::string_view problem() const { return problem_; }

 private:
  class Beast;

  State refuse(int status, std::string_view problem);
  State put_head(std::string& bytes);
  State put_body(std::string& bytes);

  std::unique_ptr<Beast> beast_;
  HttpRequestHead head_;
  std::string body_;
  std::size_t body_bytes_max_ = 0;
  std::size_t searched_ = 0;  // of the head's bytes
  State state_ = State::head;
  int status_ = 400;
  std::string_view problem_;
};

}  // namespace msp::listen
