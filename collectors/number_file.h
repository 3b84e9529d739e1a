// A file of /sys that holds one number. Unlike a KeptFile it costs one read and no buffer on the
// heap, and keeping it open is the caller's choice: there may be one per device, and descriptors
// are limited.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "agent/base/file.h"
#include "collectors/vocabulary.h"

namespace msp::collectors {

class NumberFile {
 public:
  enum class State { number, missing, garbled, unreadable };

  struct Reading {
    State state = State::missing;
    std::uint64_t number = 0;
    int error = 0;  // errno, where it is unreadable
  };

  /// The most of a collector's files that stay open: a host with a thousand devices has the limit
  /// of 1024 descriptors that everybody has.
  static constexpr std::size_t kKeptMax = 32;

  explicit NumberFile(std::string path) : path_(std::move(path)) {}

  /// A file that does not exist is not looked for again before forget(), one whose device goes away
  /// meanwhile is missing. Never waits (open_to_read of agent/base/file.h).
  Reading read(bool keep_open);

  /// Looks anew at what the path stands for: an open file follows its device when that is renamed.
  void forget();

  const std::string& path() const { return path_; }
  /// What the last read got, without the white space around it.
  std::string_view text() const;

 private:
  int open(bool keep_open);

  std::string path_;
  Fd fd_;
  bool is_checked_ = false;  // to be a file that opens without waiting
  bool is_missing_ = false;
  bool is_watched_ = false;  // can_be_replaced() of agent/base/file.h
  std::array<char, 64> text_{};
  std::size_t size_ = 0;
};

/// Adds the metric whose value is what the file holds, divided by `per_unit`, or complains. False where
/// there is no such file; it is looked for again the next time.
bool add_number(NumberFile& file, const MetricDesc& metric, SeriesWriter& out, double per_unit = 1);

/// Complains of a reading that is neither a number nor missing.
void complain(metrics::Complaints& complaints, const NumberFile& file,
              const NumberFile::Reading& reading, const metrics::Complaints::LeftOut& left_out);

}  // namespace msp::collectors
