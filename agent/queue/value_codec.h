// The values of a scrape as bytes. Any double comes back bit for bit.
//
// A value is an integer and a kind. Kind 0..9 says value = integer / 10^kind, rounded once (cpu
// seconds are kind 2, durations kind 9, most counters kind 0); 11, 12 and 13 say integer * 512,
// 1024 and 4096 (sectors, /proc/meminfo, blocks and pages, all exported as bytes). Kind 10 says
// that the integer is the double's bits: NaN payloads, infinities, -0, what is beyond 2^53 and what
// has more digits. The writer takes another kind than 10 only where reading it back gives the same
// bits. A series keeps its kind as long as it can.
//
// Absolute (keyframe), per series: kind << 4 | predictor << 3 | n, then the n bytes (0..7) of the
// sign-folded integer, low ones first; in kind 10 the 8 bytes of the double, and n = 0. 0xf0 | n is
// n + 1 series of kind 0, integer 0, predictor 0.
//
// Changes (delta): reader and writer keep the same state per series and predict the integer: as it
// was (predictor 0), or changed by as much as last time (predictor 1), whichever was nearer more
// often of late. All arithmetic is modulo 2^64. Written is how far off that was, sign-folded:
//
//     0..30                     the next 1..31 series are exactly as predicted
//     31  n:u16                 the next n series are
//     32..127                   off by 1..96
//     128..223  low:u8          off by 97 + (code - 128) * 2^8 + low
//     224..247  low:u16         off by 24673 + (code - 224) * 2^16 + low
//     248..253  3..8 bytes      off by that
//     254  absolute             another kind, written as above with n; prediction starts anew
//     255                       not used
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace msp {

/// What prediction goes by: one per series, alike on both sides.
struct SeriesState {
  std::uint64_t last = 0;    // the integer
  std::uint64_t change = 0;  // from the one before
  std::uint8_t kind = 0;
  std::int8_t score = 0;  // above 0: the last change predicts better
};

/// Bytes that a value takes at most, in either form.
inline constexpr std::size_t kValueBytesMax = 10;

/// `states` has as many elements as `values`, and `out` room for kValueBytesMax times as many
/// bytes. Returns the end of what was written. A series' kind and score are kept where they can be.
char* write_absolute(std::span<const double> values, std::span<SeriesState> states, char* out);
char* write_changes(std::span<const double> values, std::span<SeriesState> states, char* out);

/// Reads what the above wrote. False where `bytes` are not exactly values.size() values; then
/// states and values hold anything.
bool read_absolute(std::string_view bytes, std::span<SeriesState> states, std::span<double> values);
bool read_changes(std::string_view bytes, std::span<SeriesState> states, std::span<double> values);

}  // namespace msp
