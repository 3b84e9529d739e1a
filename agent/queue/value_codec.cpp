#include "agent/queue/value_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <utility>

#include "agent/metrics/sample.h"
#include "agent/queue/bits.h"
#include "agent/queue/bytes.h"

namespace msp::queue {
namespace {

constexpr std::uint8_t kBitsKind = 10;
constexpr std::uint8_t kKinds = 14;
constexpr std::uint8_t kStaleKind = 14;  // of no state
constexpr std::uint8_t kZeroRun = 0xf0;
constexpr std::size_t kZeroRunMax = 16;
// A value times this is its integer; kind 10 has none.
constexpr std::array<double, kKinds> kScale = {
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1, 1.0 / 512, 1.0 / 1024, 1.0 / 4096};

constexpr double kIntegerMax = 9007199254740992;  // 2^53: beyond, doubles skip integers
constexpr double kScaledMax = 1125899906842624;   // 2^50: value * 10^k is off by less than a half

constexpr double kUnitFrom = 1 << 16;  // below, a multiple of 512 is chance

constexpr std::uint8_t kShortRunMax = 31;  // codes 0..30
constexpr std::uint8_t kLongRun = 31;
constexpr std::uint8_t kOne = 32;
constexpr std::uint8_t kTwo = 128;
constexpr std::uint8_t kThree = 224;
constexpr std::uint8_t kMore = 248;
constexpr std::uint8_t kNewKind = 254;
constexpr std::uint8_t kStale = 255;
constexpr std::uint64_t kTwoFrom = 1 + (kTwo - kOne);
constexpr std::uint64_t kThreeFrom = kTwoFrom + ((kThree - kTwo) << 8);
constexpr std::uint64_t kMoreFrom = kThreeFrom + ((kMore - kThree) << 16);

constexpr std::int8_t kScoreMin = -2;
constexpr std::int8_t kScoreMax = 3;

constexpr unsigned kUnaryMax = 12;  // so many ones: see the section of bytes
constexpr unsigned kSpreadOne = 8;  // a bit
constexpr unsigned kSpreadMax = 255;

std::uint64_t bits_of(double value) {
  return std::bit_cast<std::uint64_t>(value);
}

double value_of(std::uint8_t kind, std::uint64_t integer) {
  if (kind == kBitsKind) return std::bit_cast<double>(integer);
  return static_cast<double>(static_cast<std::int64_t>(integer)) / kScale[kind];
}

/// Whether `value` is an integer of `kind`, and which.
bool fits(double value, std::uint8_t kind, std::uint64_t& integer) {
  if (kind == kBitsKind) {
    integer = bits_of(value);
    return true;
  }
  double scaled = value;
  if (kind == 0) {
    if (!(std::fabs(value) <= kIntegerMax)) return false;
  } else {
    scaled = value * kScale[kind];
    if (!(std::fabs(scaled) <= kScaledMax)) return false;
    constexpr double kRound = 0x1.8p52;  // pushes the fraction out of the mantissa
    scaled = (scaled + kRound) - kRound;
  }
  integer = static_cast<std::uint64_t>(static_cast<std::int64_t>(scaled));
  return bits_of(value_of(kind, integer)) == bits_of(value);
}

/// The kind for a value of whose series nothing is known: of whole numbers the largest unit they
/// are a multiple of, otherwise the fewest digits. What is an integer at 10^k is one at 10^(k+1)
/// too, so the highest k that is in range decides whether there is one at all.
std::uint8_t find_kind(double value, std::uint64_t& integer) {
  if (fits(value, 0, integer)) {
    const auto magnitude = std::fabs(value);
    std::uint8_t kind = 0;
    if (magnitude >= kUnitFrom && integer % 512 == 0) {
      kind = integer % 4096 == 0 ? 13 : integer % 1024 == 0 ? 12 : 11;
      fits(value, kind, integer);
    }
    return kind;
  }
  std::uint8_t kind = kBitsKind - 1;
  while (kind > 0 && !(std::fabs(value) * kScale[kind] <= kScaledMax)) --kind;
  if (kind == 0 || !fits(value, kind, integer)) {
    integer = bits_of(value);
    return kBitsKind;
  }
  auto left = static_cast<std::int64_t>(integer);
  for (; kind > 1 && left % 10 == 0; --kind) left /= 10;
  integer = static_cast<std::uint64_t>(left);
  return kind;
}

unsigned byte_count(std::uint64_t value) {
  return (64 - static_cast<unsigned>(std::countl_zero(value)) + 7) / 8;
}

char* put(char* out, std::uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; ++i) *out++ = static_cast<char>(value >> (8 * i));
  return out;
}

/// The bytes still to be read; asking for more than there are gives 0 and sets `failed`.
struct Input {
  const unsigned char* at;
  const unsigned char* end;
  bool failed = false;

  explicit Input(std::string_view bytes)
      : at(reinterpret_cast<const unsigned char*>(bytes.data())), end(at + bytes.size()) {}

  std::uint64_t get(unsigned bytes) {
    if (static_cast<std::size_t>(end - at) < bytes) {
      failed = true;
      return 0;
    }
    std::uint64_t value = 0;
    for (unsigned i = 0; i < bytes; ++i) value |= static_cast<std::uint64_t>(*at++) << (8 * i);
    return value;
  }
};

char* put_absolute(char* out, std::uint8_t kind, bool by_change, std::uint64_t integer) {
  const bool is_bits = kind == kBitsKind;
  const auto number = is_bits ? integer : fold_sign(integer);
  const auto bytes = is_bits ? 0 : byte_count(number);
  *out++ = static_cast<char>(kind << 4 | (by_change ? 8 : 0) | bytes);
  return put(out, number, is_bits ? 8 : bytes);
}

bool get_absolute(std::uint8_t code, Input& input, SeriesState& state) {
  const auto kind = static_cast<std::uint8_t>(code >> 4);
  const unsigned bytes = code & 7;
  if (kind >= kKinds || (kind == kBitsKind && bytes != 0)) return false;
  const auto number = input.get(kind == kBitsKind ? 8 : bytes);
  state.last = kind == kBitsKind ? number : unfold_sign(number);
  state.change = 0;
  state.kind = kind;
  state.score = (code & 8) != 0 ? 1 : 0;
  state.spread = 0;
  return true;
}

std::uint64_t predicted(const SeriesState& state) {
  return state.score > 0 ? state.last + state.change : state.last;
}

/// Moves on to the value that came, and keeps account of which predictor was nearer.
void advance(SeriesState& state, std::uint64_t integer) {
  const auto change = integer - state.last;
  const auto off_by_same = fold_sign(change);
  const auto off_by_change = fold_sign(change - state.change);
  state.score = static_cast<std::int8_t>(state.score + (off_by_change < off_by_same) -
                                         (off_by_same < off_by_change));
  state.score = std::clamp(state.score, kScoreMin, kScoreMax);
  state.change = change;
  state.last = integer;
}

/// The parameter of a series' Rice code: bits that are written as they are.
unsigned rice_bits(const SeriesState& state) {
  return (state.spread - 1u) / kSpreadOne;
}

void set_spread(SeriesState& state, unsigned spread) {
  state.spread = static_cast<std::uint8_t>(std::min(spread, kSpreadMax));
}

/// After `off`, which is not 0, was written in the section of bytes.
void start_spread(SeriesState& state, std::uint64_t off) {
  set_spread(state, 1 + kSpreadOne * (63 - static_cast<unsigned>(std::countl_zero(off))));
}

/// What a code of so many ones, 0 to kUnaryMax - 1, adds to the spread.
constexpr std::array<int, kUnaryMax> kSpreadSteps = {-2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

/// After `off`, whose code had `ones` ones, was written in the section of bits.
void adapt_spread(SeriesState& state, std::uint64_t off, std::uint64_t ones) {
  const int spread = state.spread;
  const int step = off == 0 ? -1 - spread / 4 : kSpreadSteps[ones];
  const int least = off == 0 ? 0 : 1;
  state.spread =
      static_cast<std::uint8_t>(std::clamp(spread + step, least, static_cast<int>(kSpreadMax)));
}

char* put_run(char* out, std::size_t run) {
  if (run == 0) return out;
  if (run <= kShortRunMax) return put(out, run - 1, 1);
  return put(put(out, kLongRun, 1), run, 2);
}

char* put_off(char* out, std::uint64_t off) {
  if (off < kTwoFrom) return put(out, kOne + off - 1, 1);
  if (off < kThreeFrom) {
    off -= kTwoFrom;
    return put(put(out, kTwo + (off >> 8), 1), off, 1);
  }
  if (off < kMoreFrom) {
    off -= kThreeFrom;
    return put(put(out, kThree + (off >> 16), 1), off, 2);
  }
  const auto bytes = byte_count(off);
  return put(put(out, kMore + bytes - 3, 1), off, bytes);
}

std::uint64_t get_off(std::uint8_t code, Input& input) {
  if (code < kTwo) return code - kOne + 1;
  if (code < kThree)
    return kTwoFrom + (static_cast<std::uint64_t>(code - kTwo) << 8) + input.get(1);
  if (code < kMore) {
    return kThreeFrom + (static_cast<std::uint64_t>(code - kThree) << 16) + input.get(2);
  }
  return input.get(code - kMore + 3);
}

/// A value in the section of bytes: one that comes as a surprise.
char* put_surprise(char* out, double value, bool is_kind, std::uint64_t integer, std::uint64_t off,
                   SeriesState& state) {
  if (metrics::is_stale_marker(value)) return put(out, kStale, 1);
  // Bits that are far off may have come back to a short number.
  const auto kind = is_kind && (state.kind != kBitsKind || off < kMoreFrom)
                        ? state.kind
                        : find_kind(value, integer);
  if (kind == state.kind) {
    advance(state, integer);
    start_spread(state, off);
    return put_off(out, off);
  }
  out = put_absolute(put(out, kNewKind, 1), kind, state.score > 0, integer);
  state = {integer, 0, kind, static_cast<std::int8_t>(state.score > 0 ? 1 : 0)};
  return out;
}

/// Reads the same; `code` is above kLongRun.
bool get_surprise(std::uint8_t code, Input& input, SeriesState& state, double& value) {
  if (code == kStale) {
    value = metrics::stale_marker();
    return true;
  }
  if (code == kNewKind) {
    if (!get_absolute(static_cast<std::uint8_t>(input.get(1)), input, state)) return false;
  } else {
    const auto off = get_off(code, input);
    if (off == 0) return false;
    advance(state, predicted(state) + unfold_sign(off));
    start_spread(state, off);
  }
  value = value_of(state.kind, state.last);
  return true;
}

}  // namespace

char* write_absolute(std::span<const double> values, std::span<SeriesState> states, char* out) {
  std::size_t zeros = 0;
  const auto flush = [&] {
    if (zeros != 0) *out++ = static_cast<char>(kZeroRun | (zeros - 1));
    zeros = 0;
  };
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& state = states[i];
    const bool by_change = state.score > 0;
    std::uint64_t integer = 0;
    auto kind = state.kind;
    if (metrics::is_stale_marker(values[i])) {
      flush();
      *out++ = static_cast<char>(kStaleKind << 4);
      state = {};
      continue;
    }
    if (kind == 0 || kind == kBitsKind || !fits(values[i], kind, integer)) {
      kind = find_kind(values[i], integer);
    }
    state = {integer, 0, kind, static_cast<std::int8_t>(by_change ? 1 : 0)};
    if (kind == 0 && integer == 0 && !by_change) {
      if (++zeros == kZeroRunMax) flush();
    } else {
      flush();
      out = put_absolute(out, kind, by_change, integer);
    }
  }
  flush();
  return out;
}

/// The bits are collected behind the room for the bytes, and moved up to them backwards.
char* write_changes(std::span<const double> values, std::span<SeriesState> states, char* out) {
  char* const bits_begin = out + absolute_room(values.size());
  BitWriter bits(bits_begin);
  std::size_t run = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& state = states[i];
    std::uint64_t integer = 0;
    const bool is_kind = fits(values[i], state.kind, integer);
    const auto off = fold_sign(integer - predicted(state));
    if (state.spread == 0) {
      if (is_kind && off == 0) {
        advance(state, integer);
        if (++run == 0xffff) out = put_run(out, std::exchange(run, 0));
        continue;
      }
    } else {
      const auto rice = rice_bits(state);
      if (const auto over = off >> rice; is_kind && over < kUnaryMax) {
        const auto low = off & ((1ull << rice) - 1);
        bits.put(low << (over + 1) | ((1ull << over) - 1), static_cast<unsigned>(over) + 1 + rice);
        adapt_spread(state, off, over);
        advance(state, integer);
        continue;
      }
      bits.put((1ull << kUnaryMax) - 1, kUnaryMax);
    }
    out = put_run(out, std::exchange(run, 0));
    out = put_surprise(out, values[i], is_kind, integer, off, state);
  }
  out = put_run(out, run);
  char* const bits_end = bits.flush();
  std::reverse(bits_begin, bits_end);
  return std::copy(bits_begin, bits_end, out);
}

bool read_absolute(std::string_view bytes, std::span<SeriesState> states,
                   std::span<double> values) {
  Input input(bytes);
  for (std::size_t i = 0; i < values.size();) {
    const auto code = static_cast<std::uint8_t>(input.get(1));
    if (input.failed) return false;
    if (code >= kZeroRun) {
      const std::size_t run = code - kZeroRun + 1;
      if (run > values.size() - i) return false;
      std::fill_n(states.begin() + static_cast<std::ptrdiff_t>(i), run, SeriesState{});
      std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(i), run, 0.0);
      i += run;
      continue;
    }
    if (code == kStaleKind << 4) {
      states[i] = {};
      values[i++] = metrics::stale_marker();
      continue;
    }
    if (!get_absolute(code, input, states[i])) return false;
    values[i] = value_of(states[i].kind, states[i].last);
    ++i;
  }
  return !input.failed && input.at == input.end;
}

bool read_changes(std::string_view bytes, std::span<SeriesState> states, std::span<double> values) {
  Input input(bytes);
  BitReader bits(bytes);
  std::size_t run = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto& state = states[i];
    if (state.spread == 0) {
      if (run > 0) {
        --run;
        advance(state, predicted(state));
        values[i] = value_of(state.kind, state.last);
        continue;
      }
    } else {
      const auto rice = rice_bits(state);
      bits.fill();
      if (const auto over = bits.ones(kUnaryMax); over < kUnaryMax) {
        const auto off = static_cast<std::uint64_t>(over) << rice | bits.get(rice);
        adapt_spread(state, off, over);
        advance(state, predicted(state) + unfold_sign(off));
        values[i] = value_of(state.kind, state.last);
        continue;
      }
      if (run != 0) return false;
    }
    const auto code = static_cast<std::uint8_t>(input.get(1));
    if (input.failed) return false;
    if (code > kLongRun) {
      if (!get_surprise(code, input, state, values[i])) return false;
      continue;
    }
    if (state.spread != 0) return false;
    run = code < kLongRun ? code + 1 : input.get(2);
    if (run == 0) return false;
    --i;  // the run begins with this one
  }
  return run == 0 && !input.failed && input.at == bits.end();
}

}  // namespace msp::queue
