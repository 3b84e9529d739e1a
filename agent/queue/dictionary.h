// The list of a scrape's series as bytes (format.h says how). One owner of zstd in the buffer.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/metrics/sample.h"

namespace msp {

/// The identity of a list of series: of their labels and their order.
std::uint64_t dictionary_hash(const SeriesSet& set);

/// Appends a dictionary record. False and `out` as it was where the list is over a limit of the
/// format.
bool append_dictionary(const SeriesSet& set, std::uint64_t hash, std::string& out);

/// Appends a dictionary change record for a reader that holds `base`. False and `out` as it was
/// where that would not be worth it, or over a limit.
bool append_dictionary_change(const SeriesSet& base, std::uint64_t base_hash, const SeriesSet& set,
                              std::uint64_t hash, std::string& out);

/// The series of a dictionary record's payload; their family is null. Nothing where the payload is
/// not well formed or its content does not have its hash.
std::shared_ptr<const SeriesSet> read_dictionary(std::string_view payload);

/// The same for a dictionary change record; what is in `base` is shared with it.
std::shared_ptr<const SeriesSet> read_dictionary_change(std::string_view payload,
                                                        const SeriesSet& base);

}  // namespace msp
