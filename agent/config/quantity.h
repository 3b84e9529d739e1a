// Amounts with units as people write them in the configuration: 1m30s, 256MiB.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace msp::config {

/// Whole numbers with the units d, h, m, s and ms, the larger ones first: 500ms, 15s, 1m30s, 7d.
/// Nothing where `text` is anything else, or more than 100 years.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The same backwards: "1m30s".
std::string duration_words(std::chrono::milliseconds duration);

/// 0, or a whole number with one of the units B, KiB, MiB, GiB, TiB (powers of 1024), kB, KB, MB, GB or
/// TB (powers of 1000). Nothing where `text` is anything else, or does not fit.
std::optional<std::uint64_t> parse_size(std::string_view text);

/// The same backwards, in the largest unit of which it is a whole number: "256MiB".
std::string size_words(std::uint64_t bytes);

}  // namespace msp::config
