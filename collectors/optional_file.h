// One of several files of a collector, that the kernel need not have: missing costs a look and
// nothing else, unreadable costs what is read from it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "collectors/collector.h"

namespace msp::collectors {

class OptionalFile {
 public:
  OptionalFile(const CollectorContext& context, const std::string& path,
               KeptFile::End end = KeptFile::End::empty_read)
      : file_(context.files.open(path, end)) {}

  /// Nothing where there is no such file, and where it cannot be read: then failure() says why. Valid
  /// until the next tick.
  std::optional<std::string_view> read(const Tick& tick);

  /// The same; where it cannot be read `out` is told that `what` is left out.
  std::optional<std::string_view> read(const Tick& tick, SeriesWriter& out, std::string_view what);

  /// Gives the descriptor back until the next read.
  void close() { file_->close(); }
  /// At the last read.
  bool is_missing() const { return is_missing_; }
  /// Why the last read got nothing where there is such a file; empty: it got it, or there is none.
  const std::string& failure() const { return failure_; }
  const std::string& path() const { return file_->path(); }

 private:
  std::shared_ptr<KeptFile> file_;
  bool is_missing_ = false;
  std::string failure_;
};

}  // namespace msp::collectors
