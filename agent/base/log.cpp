#include "agent/base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp {
namespace {

/// "<6>" and the like before each line, which the journal takes off again.
class JournalPriority : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const char priority = message.level >= spdlog::level::err    ? '3'
                          : message.level == spdlog::level::warn ? '4'
                          : message.level == spdlog::level::info ? '6'
                                                                 : '7';
    for (const char c : {'<', priority, '>'}) out.push_back(c);
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<JournalPriority>();
  }
};

/// systemd sets JOURNAL_STREAM to device:inode of the stream it connected (systemd.exec(5)).
bool stderr_is_journal() {
  const char* stream = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  return stream != nullptr && ::fstat(STDERR_FILENO, &status) == 0 &&
         cat(status.st_dev, ":", status.st_ino) == stream;
}

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> make_logger() {
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(
      ::isatty(STDERR_FILENO) != 0 ? spdlog::color_mode::always : spdlog::color_mode::never);
  if (stderr_is_journal()) {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<JournalPriority>('P').set_pattern("%P%v");
    sink->set_formatter(std::move(formatter));
  } else if (::isatty(STDERR_FILENO) != 0) {
    sink->set_pattern("%H:%M:%S %^%-7l%$ %v");
  } else {
    sink->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %-7l %v");
  }
  auto logger = std::make_shared<spdlog::logger>("msp-agent", std::move(sink));
  logger->set_level(spdlog::level::warn);
  return logger;
}

spdlog::logger& logger() {
  static const auto logger = make_logger();
  return *logger;
}

}  // namespace

void init_log(LogLevel level) {
  logger().set_level(to_spdlog(level));
}

std::string log_text(std::string_view text) {
  return visible(redact(text), kLogLineBytesMax);
}

void log_line(LogLevel level, std::string_view text) {
  if (logger().should_log(to_spdlog(level))) logger().log(to_spdlog(level), log_text(text));
}

void log_debug(std::string_view text) {
  log_line(LogLevel::debug, text);
}
void log_info(std::string_view text) {
  log_line(LogLevel::info, text);
}
void log_warning(std::string_view text) {
  log_line(LogLevel::warning, text);
}
void log_error(std::string_view text) {
  log_line(LogLevel::error, text);
}

}  // namespace msp
