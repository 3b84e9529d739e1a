// What one consumer is done with: all entries before a cursor, and ranges beyond it. While a
// backlog drains from its old end the newest entries are delivered beside it; each success makes
// the range at the end longer, until the cursor gets there and the two are one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace msp::queue {

/// A value; not for several threads at once.
class Offset {
 public:
  struct Range {
    std::uint64_t first;
    std::uint64_t last;
    friend bool operator==(const Range&, const Range&) = default;
  };

  /// How many ranges there may be before has_room() says no. What is not remembered is sent a
  /// second time, with the same timestamps and values.
  static constexpr std::size_t kRangesMax = 256;

  /// Done with all before `next`.
  explicit Offset(std::uint64_t next = 0) : next_(next) {}

  /// The first sequence that is not in here.
  std::uint64_t next() const { return next_; }
  /// The same from `from` on.
  std::uint64_t next(std::uint64_t from) const;
  /// One past the last sequence that is in here.
  std::uint64_t end() const { return ranges_.empty() ? next_ : ranges_.back().last + 1; }
  bool contains(std::uint64_t sequence) const { return next(sequence) != sequence; }
  /// How many of `first` to `last` are in here.
  std::uint64_t count(std::uint64_t first, std::uint64_t last) const;
  /// Beyond the cursor: ascending, and apart from each other and from the cursor.
  const std::vector<Range>& ranges() const { return ranges_; }

  /// Whether `sequence` can be added without going beyond kRangesMax.
  bool has_room(std::uint64_t sequence) const;

  /// Returns how many of them are new. `last` is below 2^64 - 1.
  std::uint64_t add(std::uint64_t first, std::uint64_t last);
  /// What `other` has from `from` on.
  void add_from(const Offset& other, std::uint64_t from);
  /// Forgets that `first` to `last` are in here: entries of that range turned up late.
  void reopen(std::uint64_t first, std::uint64_t last);
  /// All before `next`.
  void skip_to(std::uint64_t next);
  /// Forgets all from `end` on.
  void cut(std::uint64_t end);

  friend bool operator==(const Offset&, const Offset&) = default;

 private:
  std::uint64_t next_;
  std::vector<Range> ranges_;
};

}  // namespace msp::queue
