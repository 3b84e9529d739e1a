// Reading and writing small text: the words of a /proc line, numbers, messages.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

namespace msp {

/// Takes the next line off the front of `rest`, without its newline. Empty when nothing is left.
std::optional<std::string_view> next_line(std::string_view& rest);

/// Takes the next word off the front of `rest`; words are separated by spaces and tabs. Empty when
/// none is left.
std::string_view next_word(std::string_view& rest);

std::string_view trim(std::string_view text);

/// ASCII letters in lower case, everything else as it is.
std::string lower_case(std::string_view text);

/// The whole of `text` as a decimal number, or nothing. No sign for unsigned types, no spaces. Whole
/// numbers may have another base, without a prefix that names it.
template <typename Number, typename... Base>
std::optional<Number> parse_number(std::string_view text, Base... base) {
  Number number{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, base...);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The whole of `text` as a decimal number from 0 to below 2^64, or nothing: what a kernel writes
/// where it measures. parse_number<double> takes "nan", "inf" and "-1" as well.
std::optional<double> parse_amount(std::string_view text);

/// `text` in single quotes, as a message may repeat it wherever it comes from: control characters
/// and what else is not printable as visible() writes it, and "..." for what does not fit into
/// `bytes_max` bytes between the quotes.
std::string quoted(std::string_view text, std::size_t bytes_max);

/// The most that a message repeats of what it found.
inline constexpr std::size_t kQuotedBytesMax = 64;

/// Whether `text` is valid UTF-8 (RFC 3629: no surrogates, no overlong forms).
bool is_utf8(std::string_view text);

/// Replaces each byte that is not part of valid UTF-8 by U+FFFD, as Go's strings.ToValidUTF8 does a
/// run of them.
void make_utf8(std::string& text);

struct Character {
  std::size_t bytes;   // 1 where they are not valid UTF-8
  bool is_valid;       // UTF-8
  std::uint32_t code;  // its code point, or the byte
  /// Whether a line that a person sees may hold it. Not: control characters (C0, DEL, C1), what ends
  /// a line or changes the direction of writing (U+2028 to U+202E, U+2066 to U+2069), and bytes that
  /// are not UTF-8.
  bool is_printable;
};

/// The character that `text`, which is not empty, begins with.
Character first_character(std::string_view text);

/// Whether all of `text` is printable.
bool is_printable(std::string_view text);

/// `text` as one line that may go to a terminal, a log and a comment: what is not printable is
/// written as "\n", "\x1b", "\u009b". Where that is longer than `bytes_max`, its beginning and "...".
std::string visible(std::string_view text, std::size_t bytes_max = std::string_view::npos);

/// The same of each line of `text`; each ends with a newline.
std::string visible_lines(std::string_view text);

enum class NumberForm { shorter, fixed, scientific };

/// A finite number with the fewest digits that read back as the same double, as std::to_chars(3)
/// writes it; that one brings 128 kB of tables into the binary.
std::string number_text(double value, NumberForm form = NumberForm::shorter);

/// A number as cat() writes it.
class NumberPart {
 public:
  explicit NumberPart(std::int64_t number);
  explicit NumberPart(std::uint64_t number);
  explicit NumberPart(double number);
  operator std::string_view() const { return {digits_, size_}; }

 private:
  char digits_[32];
  std::size_t size_;
};

inline std::string_view cat_part(std::string_view text) {
  return text;
}
inline std::string_view cat_part(const char& character) {
  return {&character, 1};
}
template <typename Number>
requires std::is_arithmetic_v<Number> NumberPart cat_part(Number number) {
  static_assert(!std::is_same_v<Number, bool>);
  using Wide = std::conditional_t<std::is_signed_v<Number>, std::int64_t, std::uint64_t>;
  return NumberPart(std::conditional_t<std::is_floating_point_v<Number>, double, Wide>(number));
}

std::string joined(std::initializer_list<std::string_view> parts);

/// The parts one after the other, numbers in decimal: cat("line ", 3, ": no value"). Inline, for each
/// length of a literal is a type of its own, and there are many.
template <typename... Parts>
[[gnu::always_inline]] inline std::string cat(const Parts&... parts) {
  return joined({std::string_view(cat_part(parts))...});
}

/// "8 s", "3 m 10 s", "2 h 5 m", "6 d 4 h": the two largest units of a duration in nanoseconds.
std::string duration_text(std::int64_t ns);

/// The same of seconds, however many: nanoseconds end at 292 years.
std::string seconds_text(std::int64_t seconds);

/// A count for people: "4,180".
std::string grouped(std::uint64_t count);

/// "No such file or directory": the system's words for an errno value. Any thread.
std::string errno_text(int error);

/// Insertions, deletions and replacements that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The entry of `known` nearest to `word` within two edits, or an empty view: for "did you mean".
template <typename Range>
std::string_view nearest(std::string_view word, const Range& known) {
  std::string_view best;
  std::size_t best_distance = 3;
  for (const std::string_view candidate : known) {
    const auto distance = edit_distance(word, candidate);
    if (distance < best_distance && distance < candidate.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace msp
