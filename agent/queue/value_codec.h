// The values of a scrape as bytes (FORMAT.md has the tables and the reasons). Any double comes back
// bit for bit.
//
// A value is an integer and a kind, which says what the integer is a multiple of; what fits no kind
// is the double's 64 bits. A keyframe has absolute values. A delta has how far off a prediction
// was, the same on both sides: for a series that has lately been as predicted in a section of
// bytes, which is made of runs, and for the others in a section of bits, by a Rice code of which
// each series has its own parameter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace msp::queue {

/// What prediction goes by: one per series, alike on both sides.
struct SeriesState {
  std::uint64_t last = 0;    // the integer
  std::uint64_t change = 0;  // from the one before
  std::uint8_t kind = 0;
  std::int8_t score = 0;    // above 0: the last change predicts better
  std::uint8_t spread = 0;  // eighths of bits that the prediction is off by; 0: it is exact
};

/// The room for `values` values that the functions below write.
constexpr std::size_t absolute_room(std::size_t values) {
  return values * 10;
}
constexpr std::size_t changes_room(std::size_t values) {
  return values * 17 + 8;
}

/// `states` has as many elements as `values`, and `out` the room given above. Returns the end of
/// what was written. A series' kind and score are kept where they can be.
char* write_absolute(std::span<const double> values, std::span<SeriesState> states, char* out);
char* write_changes(std::span<const double> values, std::span<SeriesState> states, char* out);

/// Reads what the above wrote. False where `bytes` are not exactly values.size() values; then
/// states and values hold anything.
bool read_absolute(std::string_view bytes, std::span<SeriesState> states, std::span<double> values);
bool read_changes(std::string_view bytes, std::span<SeriesState> states, std::span<double> values);

}  // namespace msp::queue
