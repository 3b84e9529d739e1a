// The list of a scrape's series as bytes (FORMAT.md says how).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/metrics/sample.h"
#include "agent/queue/compression.h"
#include "agent/queue/format.h"

namespace msp::queue {

/// A piece of the layout of a changed dictionary.
struct Run {
  bool is_new = false;
  std::size_t first = 0;  // in the base, if not new
  std::size_t count = 0;

  friend bool operator==(const Run&, const Run&) = default;
};
using Layout = std::vector<Run>;

/// The bytes of the labels that `set` has, as the limits of the format count them.
std::size_t label_bytes(const metrics::SeriesSet& set);

/// The identity of a list of series: of its stream's name, their labels and types, and their order.
std::uint64_t dictionary_hash(std::string_view stream, const metrics::SeriesSet& set);

bool is_same_series(const metrics::SeriesPtr& a, const metrics::SeriesPtr& b);

enum class Appended { done, not_worth_it, over_limit, no_memory };

/// Appends a dictionary record. Unless it is done, `out` is as it was.
Appended append_dictionary(std::uint64_t number, std::string_view stream,
                           const metrics::SeriesSet& set, std::uint64_t hash, Compress compress,
                           std::string& out);

/// `set` in terms of `base`.
Layout layout_of(const metrics::SeriesSet& set, const metrics::SeriesSet& base);

/// Appends a dictionary change record for a reader that holds the base.
Appended append_dictionary_change(std::uint64_t number, std::uint64_t base_hash,
                                  const metrics::SeriesSet& set, std::uint64_t hash,
                                  const Layout& layout, Compress compress, std::string& out);

/// What a dictionary record or a dictionary change record says before its series.
struct DictionaryHead {
  std::uint64_t number = 0;  // of the stream in this file
  std::string_view stream;   // its name; empty in a change
  std::uint64_t hash = 0;
  std::uint32_t base = 0;  // the low half of the base's hash; in a change
  std::string_view rest;
};
std::optional<DictionaryHead> dictionary_head(const Record& record);

/// The series of a dictionary record. Their family is null, or one that has a type and no name.
/// Nothing where the record is not well formed or its content does not have its hash.
std::shared_ptr<const metrics::SeriesSet> read_dictionary(const DictionaryHead& head);

/// The same for a dictionary change record of `stream`; what is in `base` is shared with it.
std::shared_ptr<const metrics::SeriesSet> read_dictionary_change(const DictionaryHead& head,
                                                                 std::string_view stream,
                                                                 const metrics::SeriesSet& base,
                                                                 Layout& layout);

}  // namespace msp::queue
