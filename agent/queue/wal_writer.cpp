#include "agent/queue/wal_writer.h"

#include "agent/base/text.h"

namespace msp::queue {
namespace {

// A log that is never empty is written anew beyond this, and twice what is in use.
constexpr std::uint64_t kSlackBytes = 64 * 1024;
constexpr std::int64_t kTellRefusedEveryNs = 3600 * kNsPerSecond;
constexpr std::string_view kNotCrashSafe =
    "; until it works again, what was just collected does not survive a crash of the agent";

}  // namespace

Result<void> WalWriter::open() {
  auto folder = files_.open_folder(folder_);
  return folder ? wal_.open(*folder) : Result<void>(folder.error());
}

std::optional<Wal::Content> WalWriter::recover() {
  if (!is_due()) return std::nullopt;
  auto read = Result<Wal::Content>(Wal::Content());
  if (auto opened = open(); !opened) {
    read = opened.error();
  } else {
    read = wal_.read();
  }
  if (!read) {
    wal_.close();
    on_failure(read.error());
    return std::nullopt;
  }
  is_recovered_ = true;
  is_behind_ = has_failed_ || wal_.is_empty();
  return std::move(*read);
}

bool WalWriter::append(const Entry& entry) {
  if (!is_recovered_) return false;
  if (!wal_.is_open()) {
    if (!is_due()) return false;
    if (auto opened = open(); !opened) {
      on_failure(opened.error());
      return false;
    }
    is_behind_ = true;
  }
  if (is_behind_) return false;
  auto appended = wal_.append(entry);
  if (appended) return true;
  wal_.is_open() ? tell_refused(appended.error()) : on_failure(appended.error());
  return false;
}

void WalWriter::append_done(const std::string& consumer, std::span<const Entry> entries) {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  for (const auto& entry : entries) {
    if (last == 0 || entry.first_sequence != last + 1) {
      if (last != 0) append_done(consumer, first, last);
      first = entry.first_sequence;
    }
    last = entry.last_sequence;
  }
  if (last != 0) append_done(consumer, first, last);
}

void WalWriter::append_done(const std::string& consumer, std::uint64_t first, std::uint64_t last) {
  if (!wal_.is_open() || is_behind_) return;
  if (auto appended = wal_.append_done(consumer, first, last); !appended) {
    on_failure(appended.error());
  }
}

bool WalWriter::wants_rewrite(std::size_t bytes_in_use) const {
  const auto counts = bytes_in_use * per_byte_in_use_;
  return wal_.is_open() && is_due() && (is_behind_ || wal_.bytes() > 2 * counts + kSlackBytes);
}

void WalWriter::rewrite(const std::vector<Entry>& entries, const Offsets& done) {
  if (auto written = wal_.rewrite(entries, done); !written) return on_failure(written.error());
  std::size_t in_use = 0;
  for (const auto& entry : entries) in_use += entry.bytes();
  per_byte_in_use_ = in_use > 0 ? 1 + wal_.bytes() / in_use : 1;
  is_behind_ = false;
  if (!std::exchange(has_failed_, false)) return;
  notices_.push_back(
      {Notice::Severity::information, "buffer: what was just collected survives a crash again"});
}

void WalWriter::on_failure(const Error& error) {
  retry_ns_ = clock_.monotonic_ns() + retry_wait_ns_;
  if (std::exchange(has_failed_, true)) return;
  notices_.push_back({Notice::Severity::warning, cat("buffer: ", error.text, kNotCrashSafe)});
}

/// Over a limit of the format, so that only this entry is not in the log.
void WalWriter::tell_refused(const Error& error) {
  const auto now_ns = clock_.monotonic_ns();
  if (refused_told_ns_ != 0 && now_ns - refused_told_ns_ < kTellRefusedEveryNs) return;
  refused_told_ns_ = now_ns;
  notices_.push_back(
      {Notice::Severity::warning, cat(error.text,
                                      "; it cannot be kept on disk, and is lost where it is not "
                                      "delivered soon")});
}

}  // namespace msp::queue
