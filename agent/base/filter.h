// Which names are wanted: a predicate that can be compared with another one.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace msp {

/// Whether a device, mount point or file system type is wanted.
class Filter {
 public:
  /// Wants every name.
  Filter() : Filter([](std::string_view) { return true; }) {}
  /// `source` tells filters apart.
  template <typename Wants>
  Filter(Wants wants, std::string source = {})
      : wants_(std::move(wants)), source_(std::move(source)) {}

  bool operator()(std::string_view name) const { return wants_(name); }

  friend bool operator==(const Filter& a, const Filter& b) { return a.source_ == b.source_; }

 private:
  std::function<bool(std::string_view name)> wants_;
  std::string source_;
};

}  // namespace msp
