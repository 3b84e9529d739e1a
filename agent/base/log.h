// What the agent tells people, on stderr: one line per change of state. On a terminal with time and
// colour, under systemd with the journal's priorities (sd-daemon(3): "<4>text"), otherwise with
// time and level. Any thread.
//
// Whatever a message quotes, it is one line of printable UTF-8 (text.h: visible), at most
// kLogLineBytesMax long, and holds no secret of the configuration (redact.h).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace msp {

/// Any time, any thread. Until the first call nothing below a warning is printed.
enum class LogLevel { debug, info, warning, error };

void init_log(LogLevel level);

inline constexpr std::size_t kLogLineBytesMax = 8 * 1024;

/// `text` as the log shows it: for what else goes to stderr.
std::string log_text(std::string_view text);

void log_line(LogLevel level, std::string_view text);
void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace msp
