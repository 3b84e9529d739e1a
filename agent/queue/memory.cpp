#include "agent/queue/memory.h"

#include <algorithm>
#include <utility>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/text.h"

namespace msp {
namespace {

// A head that never empties makes its file longer: it is written anew beyond this, and twice what
// is in use.
constexpr std::uint64_t kFileSlack = 256 * 1024;
constexpr std::string_view kNotCrashSafe =
    "; until that is mended, what was just collected does not survive a crash of the agent";

}  // namespace

void Head::recover(std::uint64_t from) {
  if (const auto opened = open_file(); !opened) {
    log_warning(cat("buffer: ", opened.error().text, kNotCrashSafe));
    return;
  }
  auto scrapes = file_.read();
  if (!scrapes) {
    log_warning(cat("buffer: ", scrapes.error().text, "; what it held is lost"));
    return;
  }
  for (auto& stored : *scrapes) {
    if (stored.first_sequence < from) continue;
    from = stored.first_sequence + 1;
    push(stored.first_sequence, std::move(stored.scrape));
  }
}

void Head::append(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape) {
  push(sequence, std::move(scrape));
  copy_newest();
}

void Head::push(std::uint64_t sequence, std::shared_ptr<const Scrape> scrape) {
  const auto bytes = sizeof(Scrape) + scrape->values.size() * sizeof(double);
  bytes_ += bytes;
  newest_ = {sequence, std::move(scrape), monotonic_ns(), bytes};
  scrapes_.push_back(newest_);
}

void Head::drop_front() {
  bytes_ -= scrapes_.front().bytes;
  scrapes_.pop_front();
}

const Head::Waiting* Head::find(std::uint64_t sequence) const {
  const auto found = std::lower_bound(
      scrapes_.begin(), scrapes_.end(), sequence,
      [](const Waiting& waiting, std::uint64_t s) { return waiting.sequence < s; });
  return found != scrapes_.end() ? &*found : nullptr;
}

Result<void> Head::open_file() {
  static_cast<void>(files_.make_folder(folder_));
  return file_.open(files_, folder_ + "/head");
}

void Head::copy_newest() {
  Result<void> copied;
  if (file_.is_open()) {
    copied = file_.append(newest_.sequence, *newest_.scrape);
    if (copied && file_.bytes() > 2 * bytes_ + kFileSlack) copied = rewrite_file();
  } else {
    if (monotonic_ns() < retry_at_ns_) return;
    retry_at_ns_ = monotonic_ns() + retry_ns_;
    if (!open_file()) return;
    copied = rewrite_file();
  }
  if (copied) return;
  log_warning(cat("buffer: ", copied.error().text, kNotCrashSafe));
  retry_at_ns_ = monotonic_ns() + retry_ns_;
}

Result<void> Head::rewrite_file() {
  std::vector<ScrapeDecoder::Decoded> scrapes;
  for (const auto& waiting : scrapes_)
    scrapes.push_back({waiting.sequence, waiting.sequence, waiting.scrape, nullptr});
  return file_.rewrite(scrapes);
}

void Head::clear_file() {
  if (file_.is_open()) static_cast<void>(file_.clear());
}

}  // namespace msp
