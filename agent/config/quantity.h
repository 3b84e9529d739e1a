// Durations and sizes as people write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace msp {

/// "500ms", "15s", "1m30s", "2h", "7d"; units from large to small, each once. Nothing for anything
/// else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "1048576", "256MiB", "1GiB", "500MB": bytes. Nothing for anything else.
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace msp
