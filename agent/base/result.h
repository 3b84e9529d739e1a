// Errors are values. An Error says what was tried and on what, in words an operator can act on; the
// caller adds where it happened, never what it means. Result is a struct of its own because g++
// 12 lets an ignored alias of std::expected pass in silence.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace msp {

struct Error {
  enum class Kind {
    failed,
    no_data,  // the kernel or the hardware does not have this: worth a debug line, not an alarm
  };
  std::string text;
  Kind kind = Kind::failed;
};

template <typename T>
struct [[nodiscard]] Result : std::expected<T, Error> {
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpect, std::move(error)) {}
};

inline Error failed(std::string text) {
  return Error{std::move(text), Error::Kind::failed};
}
inline Error no_data(std::string text) {
  return Error{std::move(text), Error::Kind::no_data};
}

}  // namespace msp
