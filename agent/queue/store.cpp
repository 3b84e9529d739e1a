#include "agent/queue/store.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/base/text.h"

namespace msp {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::string_view kBadSuffix = ".bad";
constexpr std::string_view kNewerSuffix = ".newer";
constexpr std::size_t kNameDigits = 16;

std::string name_of(std::uint64_t first_sequence) {
  char digits[kNameDigits];
  const auto end = std::to_chars(digits, digits + sizeof digits, first_sequence, 16).ptr;
  const auto length = static_cast<std::size_t>(end - digits);
  return std::string(kNameDigits - length, '0').append(digits, length).append(kSuffix);
}

}  // namespace

std::string Store::segment_path(std::uint64_t first_sequence) const {
  return folder_ + "/" + name_of(first_sequence);
}

Result<void> Store::open() {
  if (auto made = files_.make_folder(folder_); !made) return made;
  auto entries = files_.list(folder_);
  if (!entries) return entries.error();
  std::erase_if(*entries, [](const auto& entry) { return !entry.name.ends_with(kSuffix); });
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  std::deque<Segment> found;
  for (const auto& entry : *entries) take_over(entry.name, found);
  std::stable_sort(found.begin(), found.end(), [](const Segment& a, const Segment& b) {
    return a.summary.first_sequence < b.summary.first_sequence;
  });

  std::deque<Segment> segments;
  for (auto& segment : found) {
    const auto after = segments.empty() ? 0 : segments.back().summary.last_sequence;
    if (segment.summary.last_sequence <= after) {  // a copy of what another segment holds
      set_aside(segment.path, kBadSuffix);
      continue;
    }
    segments.push_back(std::move(segment));
  }
  limit_bad_files();

  writer_.reset();
  {
    const std::lock_guard lock(mutex_);
    segments_ = std::move(segments);
    if (!segments_.empty()) {
      last_sequence_ = std::max(last_sequence_, segments_.back().summary.last_sequence);
    }
  }
  mark_synced();
  open_ = true;
  return {};
}

void Store::take_over(const std::string& name, std::deque<Segment>& found) {
  auto path = folder_ + "/" + name;
  const auto file = files_.open(path, FileSystem::Mode::read);
  const auto inspected = file ? inspect_segment(**file) : Result<FoundSegment>(file.error());
  if (!inspected) {  // the disk's fault, not the file's: perhaps it reads at the next start
    const std::lock_guard lock(mutex_);
    ++damaged_;
    return;
  }
  switch (inspected->state) {
    case FoundSegment::State::newer_version:
      set_aside(path, kNewerSuffix);
      return;
    case FoundSegment::State::older_version:
      set_aside(path, kBadSuffix);
      return;
    case FoundSegment::State::unreadable:
      if (inspected->bytes > kSegmentHeaderSize) {
        set_aside(path, kBadSuffix);
      } else {
        static_cast<void>(files_.remove(path));  // made, and never written to
      }
      return;
    case FoundSegment::State::good:
      break;
  }
  {
    const std::lock_guard lock(mutex_);
    damaged_ += inspected->damaged_regions;
  }
  // Names decide where the next segment goes: one that is not the content's own would be written
  // over.
  const auto own_path = segment_path(inspected->summary.first_sequence);
  if (path != own_path) {
    if (files_.open(own_path, FileSystem::Mode::read) || !files_.rename(path, own_path)) {
      set_aside(path, kBadSuffix);
      return;
    }
    path = own_path;
  }
  found.push_back({std::move(path), inspected->summary, inspected->bytes});
}

void Store::set_aside(const std::string& path, std::string_view suffix) {
  static_cast<void>(files_.rename(path, path + std::string(suffix)));
  const std::lock_guard lock(mutex_);
  ++damaged_;
}

void Store::limit_bad_files() {
  auto entries = files_.list(folder_);
  if (!entries) return;
  std::erase_if(*entries, [](const auto& entry) { return !entry.name.ends_with(kBadSuffix); });
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name > b.name; });
  for (std::size_t i = kBadFilesMax; i < entries->size(); ++i) {
    static_cast<void>(files_.remove(folder_ + "/" + (*entries)[i].name));
  }
}

Result<void> Store::append(std::uint64_t sequence, const Scrape& scrape) {
  // A gap ends a segment, so that a gap within one is damage.
  if (writer_ && (writer_->bytes() >= segment_bytes_ || sequence != last_sequence() + 1)) {
    if (auto ended = end_segment(); !ended) return ended;
  }
  const bool is_new = !writer_;
  if (is_new) {
    // Of a file that open() could not make sense of, or that somebody put there.
    if (files_.open(segment_path(sequence), FileSystem::Mode::read)) {
      set_aside(segment_path(sequence), kBadSuffix);
    }
    auto writer = SegmentWriter::create(files_, segment_path(sequence), sequence);
    if (!writer) {
      static_cast<void>(files_.remove(segment_path(sequence)));
      return writer.error();
    }
    writer_ = std::move(*writer);
    folder_changed_ = true;
  }
  if (auto appended = writer_->append(sequence, scrape); !appended) {
    // What it took before is to be safe nevertheless.
    const auto writer = std::move(writer_);
    if (is_new) {
      static_cast<void>(files_.remove(segment_path(sequence)));
    } else if (writer->sync()) {
      mark_synced();
    } else {
      forget_unsynced();
    }
    return appended;
  }
  const std::lock_guard lock(mutex_);
  if (is_new) segments_.push_back({segment_path(sequence), {}, 0});
  segments_.back().summary = writer_->summary();
  segments_.back().bytes = writer_->bytes();
  last_sequence_ = sequence;
  return {};
}

/// Without a summary a segment reads as well, only slower: that sealing failed is no reason to
/// fail.
Result<void> Store::end_segment() {
  const auto writer = std::move(writer_);
  static_cast<void>(writer->seal());
  {
    const std::lock_guard lock(mutex_);
    segments_.back().bytes = writer->bytes();
  }
  if (auto synced = writer->sync(); !synced) {
    forget_unsynced();
    return synced;
  }
  mark_synced();
  return {};
}

Result<void> Store::sync() {
  auto synced = writer_ ? writer_->sync() : Result<void>();
  if (synced && folder_changed_) synced = files_.sync_folder(folder_);
  if (!synced) {
    forget_unsynced();
    return synced;
  }
  folder_changed_ = false;
  mark_synced();
  return {};
}

void Store::mark_synced() {
  const std::lock_guard lock(mutex_);
  synced_.reset();
  if (!segments_.empty()) synced_ = segments_.back();
  synced_sequence_ = last_sequence_;
}

void Store::forget_unsynced() {
  writer_.reset();
  const std::lock_guard lock(mutex_);
  last_sequence_ = synced_sequence_;
  if (segments_.empty()) return;
  auto& newest = segments_.back();
  if (synced_ && synced_->path == newest.path) {
    // Where this fails the file keeps some that come again in the next segment: open() copes.
    if (auto file = files_.open(newest.path, FileSystem::Mode::write)) {
      static_cast<void>((*file)->truncate(synced_->bytes));
    }
    newest = *synced_;
  } else {
    static_cast<void>(files_.remove(newest.path));
    segments_.pop_back();
  }
}

void Store::remove_oldest() {
  std::string path;
  {
    const std::lock_guard lock(mutex_);
    if (segments_.empty()) return;
    path = std::move(segments_.front().path);
    segments_.pop_front();
    if (segments_.empty()) writer_.reset();
  }
  // What cannot be removed now is taken over, and removed, at the next start.
  static_cast<void>(files_.remove(path));
  folder_changed_ = true;
}

void Store::remove_before(std::uint64_t sequence) {
  for (auto segment = oldest(); segment && segment->summary.last_sequence < sequence;
       segment = oldest()) {
    remove_oldest();
  }
}

std::optional<Store::Segment> Store::oldest() const {
  const std::lock_guard lock(mutex_);
  if (segments_.empty()) return std::nullopt;
  return segments_.front();
}

std::optional<Store::Segment> Store::find(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::lower_bound(
      segments_.begin(), segments_.end(), sequence,
      [](const Segment& segment, std::uint64_t s) { return segment.summary.last_sequence < s; });
  if (found == segments_.end()) return std::nullopt;
  return *found;
}

std::uint64_t Store::last_sequence() const {
  const std::lock_guard lock(mutex_);
  return last_sequence_;
}

Store::Totals Store::totals() const {
  const std::lock_guard lock(mutex_);
  Totals totals{segments_.size(), 0};
  for (const auto& segment : segments_) totals.bytes += segment.bytes;
  return totals;
}

std::uint64_t Store::damaged() const {
  const std::lock_guard lock(mutex_);
  return damaged_;
}

std::vector<Acknowledged::Range> Store::holes() const {
  const std::lock_guard lock(mutex_);
  std::vector<Acknowledged::Range> holes;
  std::uint64_t after = 0;
  for (const auto& segment : segments_) {
    const auto first = segment.summary.first_sequence;
    if (after != 0 && first > after + 1) holes.push_back({after + 1, first - 1});
    after = segment.summary.last_sequence;
  }
  return holes;
}

std::uint64_t Store::count_in_segment(const Segment& segment,
                                      const Acknowledged& acknowledged) const {
  const auto& summary = segment.summary;
  auto done = acknowledged.count(summary.first_sequence, summary.last_sequence);
  if (done == 0) return summary.samples;
  if (done == summary.last_sequence - summary.first_sequence + 1) return 0;
  std::uint64_t samples = 0;
  const auto file = files_.open(segment.path, FileSystem::Mode::read);
  const auto scrapes = file ? entries_in(**file, segment.bytes) : file.error();
  if (scrapes) {
    for (const auto& scrape : *scrapes) {
      if (!acknowledged.contains(scrape.first_sequence)) continue;
      samples += scrape.samples;
      if (done > 0) --done;
    }
  }
  samples += done * summary.samples_per_sequence();
  return summary.samples - std::min(summary.samples, samples);
}

std::uint64_t Store::count_samples(const Acknowledged& acknowledged) const {
  std::uint64_t samples = 0;
  for (auto segment = find(acknowledged.next()); segment;
       segment = find(segment->summary.last_sequence + 1)) {
    samples += count_in_segment(*segment, acknowledged);
  }
  return samples;
}

}  // namespace msp
