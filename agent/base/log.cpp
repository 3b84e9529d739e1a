#include "agent/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>

#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp {
namespace {

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

struct Look {
  std::string_view name;  // as wide as the widest
  char priority;          // of sd-daemon(3)
  std::string_view colour;
};

const Look& look_of(spdlog::level::level_enum level) {
  static constexpr Look kDebug{"debug  ", '7', "\x1b[36m"};
  static constexpr Look kInfo{"info   ", '6', "\x1b[32m"};
  static constexpr Look kWarning{"warning", '4', "\x1b[33m\x1b[1m"};
  static constexpr Look kError{"error  ", '3', "\x1b[31m\x1b[1m"};
  return level >= spdlog::level::err    ? kError
         : level == spdlog::level::warn ? kWarning
         : level == spdlog::level::info ? kInfo
                                        : kDebug;
}

/// `format` is strftime(3)'s.
std::string time_text(const std::tm& local, const char* format) {
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &local)};
}

/// 2026-01-31T12:00:00.250+01:00
std::string timestamp(spdlog::log_clock::time_point time, const std::tm& local) {
  using std::chrono::milliseconds;
  const auto ms = std::chrono::floor<milliseconds>(time.time_since_epoch()).count() % 1000;
  const auto zone = time_text(local, "%z");  // +0100
  return cat(time_text(local, "%Y-%m-%dT%H:%M:%S."), ms < 100 ? "0" : "", ms < 10 ? "0" : "", ms,
             zone.substr(0, 3), ":", zone.substr(3));
}

/// A line in one write(2). spdlog's own sinks bring the formatters of all its patterns, 70 kB.
class Stderr : public spdlog::sinks::sink {
 public:
  void log(const spdlog::details::log_msg& message) override {
    const auto& look = look_of(message.level);
    const std::string_view text(message.payload.data(), message.payload.size());
    const auto seconds = spdlog::log_clock::to_time_t(message.time);
    std::tm local{};
    ::localtime_r(&seconds, &local);
    const auto line =
        is_journal_ ? cat("<", look.priority, ">", text, "\n")
        : is_terminal_
            ? cat(time_text(local, "%H:%M:%S "), look.colour, look.name, "\x1b[m ", text, "\n")
            : cat(timestamp(message.time, local), " ", look.name, " ", text, "\n");
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  const bool is_journal_ = stderr_is_journal();
  const bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
};

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_shared<spdlog::logger>("msp-agent", std::make_shared<Stderr>());
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
  if (!logger().should_log(to_spdlog(level))) return;
  logger().log(to_spdlog(level), spdlog::string_view_t(log_text(text)));
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
