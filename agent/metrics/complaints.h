// What a collector leaves out of its ticks because the kernel has garbled it, for the log: a line
// when something is left out of a file, one when more or something else is, one when nothing is any
// more, and none while it stays as it is.
//
// One thread at a time; allocates nothing while nothing changes.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"

namespace msp::metrics {

class Complaints {
 public:
  /// What is left out: a metric or "a line", and the parts of a text that says whose it is.
  struct LeftOut {
    std::string_view what;
    std::initializer_list<std::string_view> of = {};
  };

  /// `file` has `text` where `expected` ("a number") should be.
  void garbled(std::string_view file, std::string_view text, std::string_view expected,
               const LeftOut& left_out);

  /// `file` has two lines for `name`, of which the first one counts.
  void repeated(std::string_view file, std::string_view name);

  /// The file cannot be read.
  void unreadable(std::string_view file, const Error& error, const LeftOut& left_out);

  /// Whether something is left out in this tick.
  bool any() const;

  /// Ends a tick: calls tell(text, is_over) for each change since the last one.
  template <typename Tell>
  void end_tick(const Tell& tell) {
    for (auto& file : files_) {
      if (const auto text = file.change(); !text.empty()) tell(text, file.values == 0);
    }
    if (const auto text = change_of_others(); !text.empty()) tell(text, others_ == 0);
    forget_tick(true);
  }

  /// Ends a tick that failed, of which nothing is known.
  void drop_tick() { forget_tick(false); }

  /// Files with a line of their own; what is left out of more is one line.
  static constexpr std::size_t kFilesMax = 8;

 private:
  struct File {
    std::string path;
    std::string what = {};    // the first that is left out
    std::string reason = {};  // why
    std::string message = {};
    std::size_t values = 0;  // left out in this tick
    std::size_t told = 0;    // the most that a line has counted

    std::string change() const;
  };

  /// The file to note a new reason on; null where it is known already.
  File* note(std::string_view file, std::string_view what, std::string_view reason);
  std::string change_of_others() const;
  void forget_tick(bool is_told);

  std::vector<File> files_;
  std::size_t others_ = 0;  // values left out of other files in this tick
  std::size_t others_told_ = 0;
};

}  // namespace msp::metrics
