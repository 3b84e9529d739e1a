// What the agent tells people, on stderr: one line per change of state. On a terminal with time and
// colour, under systemd with the journal's priorities (sd-daemon(3): "<4>text"), otherwise with
// time and level. Any thread.
#pragma once

#include <string_view>

namespace msp {

/// Any time, any thread. Until the first call nothing below a warning is printed.
enum class LogLevel { debug, info, warning, error };

void init_log(LogLevel level);

void log_debug(std::string_view text);
void log_info(std::string_view text);
void log_warning(std::string_view text);
void log_error(std::string_view text);

}  // namespace msp
