#include "agent/run/last_stop.h"

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/queue/file_system.h"

namespace msp::run {
namespace {

constexpr const char* kName = "stop";
constexpr std::size_t kBytesMax = 256;
constexpr std::string_view kRunning = "running";
constexpr std::string_view kStop = "stop";
constexpr std::string_view kShutdown = "shutdown";

StopReason reason_of(std::string_view word, bool same_boot) {
  if (word == kStop) return StopReason::stop;
  if (word == kShutdown) return StopReason::shutdown;
  if (word == kRunning) return same_boot ? StopReason::killed : StopReason::host;
  return StopReason::none;
}

}  // namespace

void LastStop::begin() {
  if (const auto text = read_file(cat(folder_, "/", kName), kBytesMax)) {
    auto words = trim(*text);
    const auto word = next_word(words);
    before_ = reason_of(word, next_word(words) == boot_id_);
  }
  write(kRunning);
}

void LastStop::end(StopReason reason) const {
  write(reason == StopReason::shutdown ? kShutdown : kStop);
}

/// Nothing is synced: after a loss of power within seconds of a start the file says how the run
/// before that ended.
void LastStop::write(std::string_view word) const {
  const auto folder = queue::real_file_system().open_folder(folder_);
  if (!folder) return;
  const auto temporary = cat(kName, ".new");
  static_cast<void>((*folder)->remove(temporary));
  {
    const auto file = (*folder)->open(temporary, queue::Folder::Mode::create);
    if (!file || !(*file)->write(0, cat(word, " ", boot_id_, "\n"))) return;
  }
  static_cast<void>((*folder)->rename(temporary, kName));
}

std::string boot_id() {
  const auto text = read_file("/proc/sys/kernel/random/boot_id", kBytesMax);
  return text ? std::string(trim(*text)) : std::string();
}

}  // namespace msp::run
