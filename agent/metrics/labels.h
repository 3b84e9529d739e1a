// A label set as it goes on the wire: sorted by name, no name twice, no empty value, values in
// valid UTF-8 (remote write 1.0 specification, "Labels"). The metric's name is the label __name__.
//
// The set is one flat string (two length bytes, name, two length bytes, value, ...), so that a
// series costs one allocation and two equal sets are equal bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace msp::metrics {

struct Label {
  std::string name;
  std::string value;
  friend bool operator==(const Label&, const Label&) = default;
};

class Labels {
 public:
  struct View {
    std::string_view name;
    std::string_view value;
  };

  class Iterator {
   public:
    explicit Iterator(const char* at) : at_(at) {}
    View operator*() const;
    Iterator& operator++();
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const char* at_;
  };

  Labels() = default;

  /// Takes ownership of `labels` in any order. Of two labels with one name the earlier one stays.
  /// Empty values are left out, bytes that are not UTF-8 become U+FFFD, names and values are cut
  /// after kLengthMax bytes.
  explicit Labels(std::vector<Label> labels);

  /// Takes a flat form made by flat() before. False and unchanged where `flat` is not a well-formed
  /// one.
  bool assign_flat(std::string_view flat);

  Iterator begin() const { return Iterator(flat_.data()); }
  Iterator end() const { return Iterator(flat_.data() + flat_.size()); }

  /// The value of `name`, or an empty view. Valid as long as this object.
  std::string_view get(std::string_view name) const;

  /// The whole set as bytes: its identity. Valid as long as this object.
  std::string_view flat() const { return flat_; }

  friend bool operator==(const Labels&, const Labels&) = default;

  static constexpr std::size_t kLengthMax = 0xffff;

 private:
  std::string flat_;
};

inline constexpr std::string_view kMetricName = "__name__";
/// Whose a sample is: every sample has them, and no rule changes them.
inline constexpr std::string_view kIdentityLabels[] = {"customer_id", "server_name"};

/// [a-zA-Z_][a-zA-Z0-9_]* (Prometheus' data model).
bool is_label_name(std::string_view name);

}  // namespace msp::metrics
