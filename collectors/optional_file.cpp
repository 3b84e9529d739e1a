#include "collectors/optional_file.h"

#include <unistd.h>

namespace msp::collectors {

std::optional<std::string_view> OptionalFile::read(const Tick& tick) {
  failure_.clear();
  // An error is a text to allocate, and most hosts lack the same files at every tick.
  if (is_missing_ && ::access(path().c_str(), F_OK) != 0) return std::nullopt;
  const auto content = file_->read(tick.number);
  is_missing_ = !content && content.error().kind == Error::Kind::no_data;
  if (content) return *content;
  if (!is_missing_) failure_ = content.error().text;
  return std::nullopt;
}

std::optional<std::string_view> OptionalFile::read(const Tick& tick, SeriesWriter& out,
                                                   std::string_view what) {
  const auto content = read(tick);
  if (!failure_.empty()) out.complaints().unreadable(path(), failed(failure_), {what});
  return content;
}

}  // namespace msp::collectors
