// What is wrong with one configuration file, gathered while it is read. All of it is reported, so
// that an operator edits once.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/document.h"

namespace msp::config {

class Diagnostics {
 public:
  explicit Diagnostics(std::string file) : file_(std::move(file)) {}

  /// `text` is one line and holds no secret. Costs no memory that grows with the number of errors.
  void add(Position at, std::string text);

  /// The usual form: "KEY: found WHAT; accepted: ACCEPTED".
  void reject(Position at, std::string_view key, std::string_view what, std::string_view accepted);

  /// A key whose secret stands in the file itself.
  void add_inline_secret(std::string key) { inline_secrets_.push_back(std::move(key)); }
  std::vector<std::string> take_inline_secrets() { return std::exchange(inline_secrets_, {}); }

  /// In the file's order; after kErrorsMax one line that counts the rest.
  std::vector<ConfigError> take();

  static constexpr std::size_t kErrorsMax = 50;

 private:
  void keep_first();

  std::string file_;
  std::vector<ConfigError> errors_;  // those that take() may return, and a few more
  std::size_t left_out_ = 0;
  std::vector<std::string> inline_secrets_;
};

/// `text` as it may stand in a one-line message: cut where it is long, what is not printable escaped,
/// no URL's login.
std::string printable(std::string_view text);

/// The same in single quotes.
std::string shown(std::string_view text);

}  // namespace msp::config
