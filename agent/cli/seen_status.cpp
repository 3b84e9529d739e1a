#include "agent/cli/seen_status.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <optional>
#include <thread>
#include <tuple>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/run/process.h"
#include "agent/run/signals.h"

namespace msp::cli {
namespace {

constexpr std::size_t kBytesMax = 1 << 20;
constexpr double kStaleAfterUpdates = 3;
constexpr double kStaleAtLeastSeconds = 10;  // a host that is short of CPU is late
constexpr std::int64_t kAnswerNs = 10 * kNsPerSecond;
constexpr std::chrono::milliseconds kLookEvery{5};

/// The process that wrote the file, if it is still there.
std::optional<run::ProcessStat> writer_of(const config::Node* root) {
  const auto pid = parse_number<pid_t>(text_of(root, "pid")).value_or(0);
  if (pid <= 0) return std::nullopt;
  const auto process = run::read_process(pid);
  if (process) {
    const bool is_same = text_of(root, "start_ticks") == cat(process->start_ticks);
    if (!is_same || process->state == 'Z' || process->state == 'X') return std::nullopt;
    return *process;
  }
  // A /proc with hidepid shows processes of others to root only.
  const bool is_there = ::kill(pid, 0) == 0 || errno == EPERM;
  return is_there ? std::optional(run::ProcessStat{}) : std::nullopt;
}

/// Which file is at `path`: another one after it was replaced.
std::tuple<ino_t, std::int64_t, std::int64_t> file_of(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return {};
  return {file.st_ino, file.st_mtim.tv_sec, file.st_mtim.tv_nsec};
}

/// Whether a process is of the user who owns the file. Not through a symbolic link, which may lead
/// to somebody else's.
bool has_one_user(pid_t pid, const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return false;
  const auto status = read_file(cat("/proc/", pid, "/status"), 64 << 10);
  if (!status) return false;
  // Of all four: real, effective, saved, of file systems (proc(5)).
  const auto uid = cat("\t", file.st_uid);
  return status->find(cat("\nUid:", uid, uid, uid, uid, "\n")) != status->npos;
}

SeenStatus unreadable(const std::string& path, std::string problem) {
  return {.life = SeenStatus::Life::unreadable, .problem = std::move(problem), .path = path};
}

}  // namespace

SeenStatus read_status(std::string text, const std::string& path) {
  const auto document = config::parse_document(text);
  const auto* root = document.root.get();
  const bool is_ours = root != nullptr && text.starts_with("{") && find_value(root, "pid") &&
                       find_value(root, "endpoints") && find_value(root, "process");
  if (!is_ours) {
    return unreadable(path, cat("not a status of msp-agent, or only a part of one: ", path,
                                "; a running agent replaces it by itself"));
  }
  SeenStatus seen{.life = SeenStatus::Life::running, .path = path};
  seen.text = std::move(text);
  seen.root = document.root;
  return seen;
}

SeenStatus see_status(const std::vector<std::string>& paths, std::int64_t boot_ns) {
  for (const auto& path : paths) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) continue;
    } else if (!S_ISREG(file.st_mode)) {
      return unreadable(
          path, cat(path, " is not a regular file; remove it, and the agent writes it anew"));
    }
    const auto text = read_file(path, kBytesMax);
    if (!text) {
      // Why not, for read_file() puts it in words.
      const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      const bool is_refused = !fd && (errno == EACCES || errno == EPERM);
      return unreadable(path, is_refused
                                  ? cat("this user may not read ", path,
                                        ": run as root or as a member of the group msp-agent")
                                  : text.error().text);
    }
    auto seen = read_status(*text, path);
    if (!seen.root) return seen;
    const auto* root = seen.root.get();
    seen.age_seconds =
        static_cast<double>(boot_ns) / kNsPerSecond - number_of(root, "updated_boottime");
    const auto writer = writer_of(root);
    const auto stale =
        std::max(kStaleAtLeastSeconds, kStaleAfterUpdates * number_of(root, "update_seconds"));
    if (is_true(root, "stopped")) {
      seen.life = SeenStatus::Life::stopped;
    } else if (!writer) {
      seen.life = SeenStatus::Life::gone;
    } else if (seen.age_seconds > stale) {
      seen.life = SeenStatus::Life::hangs;
      seen.process_state = writer->state;
    }
    return seen;
  }
  return {.life = SeenStatus::Life::absent};
}

SeenStatus ask_status(const std::vector<std::string>& paths) {
  using Life = SeenStatus::Life;
  auto seen = see_status(paths, clock_ns(CLOCK_BOOTTIME));
  if (seen.life != Life::running && seen.life != Life::hangs) return seen;
  const auto* root = seen.root.get();
  const auto pid = parse_number<pid_t>(text_of(root, "pid")).value_or(0);
  // The signal ends a process that does not wait for it. So it goes to the writer of the file alone,
  // where that says that it waits, and to no process of another user: who owns the file has no more
  // power by root's asking than without.
  const auto process = run::read_process(pid);
  const bool is_writer = process && text_of(root, "start_ticks") == cat(process->start_ticks);
  const bool waits = text_of(root, "status_signal") == cat(run::kStatusSignal);
  if (!is_writer || !waits || !has_one_user(pid, seen.path)) return seen;
  const auto before = file_of(seen.path);
  if (::kill(pid, run::kStatusSignal) != 0) return seen;
  const auto deadline_ns = monotonic_ns() + kAnswerNs;
  while (file_of(seen.path) == before) {
    if (monotonic_ns() >= deadline_ns) {
      seen.life = Life::hangs;
      seen.process_state = run::read_process(pid).value_or(*process).state;
      seen.age_seconds += static_cast<double>(kAnswerNs) / kNsPerSecond;
      return seen;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return see_status(paths, clock_ns(CLOCK_BOOTTIME));
}

const config::Node* find_value(const config::Node* mapping, std::string_view key) {
  if (mapping == nullptr) return nullptr;
  for (const auto& entry : mapping->entries) {
    if (entry.key == key) return entry.value.get();
  }
  return nullptr;
}

std::string text_of(const config::Node* mapping, std::string_view key) {
  const auto* value = find_value(mapping, key);
  return value != nullptr ? visible(value->text) : std::string();
}

double number_of(const config::Node* mapping, std::string_view key) {
  return parse_number<double>(text_of(mapping, key)).value_or(NAN);
}

bool is_true(const config::Node* mapping, std::string_view key) {
  return text_of(mapping, key) == "true";
}

std::vector<const config::Node*> items_of(const config::Node* mapping, std::string_view key) {
  std::vector<const config::Node*> items;
  const auto* list = find_value(mapping, key);
  if (list == nullptr) return items;
  for (const auto& item : list->items) items.push_back(item.get());
  return items;
}

}  // namespace msp::cli
