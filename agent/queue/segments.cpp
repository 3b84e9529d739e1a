#include "agent/queue/segments.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/base/text.h"

namespace msp::queue {
namespace {

constexpr std::string_view kSuffix = ".seg";
constexpr std::string_view kBadSuffix = ".bad";
constexpr std::size_t kNameDigits = 16;
constexpr std::uint64_t kCopyBytesMax = 64 << 20;
// Between two entries of a segment. A start that finds no segment goes on at the time in milliseconds:
// what lies between may be on a disk that is mounted later, and a range that spans it would hide it.
constexpr std::uint64_t kGapMax = 1000;

std::string name_of(std::uint64_t first_sequence) {
  char digits[kNameDigits];
  const auto end = std::to_chars(digits, digits + sizeof digits, first_sequence, 16).ptr;
  const auto length = static_cast<std::size_t>(end - digits);
  return std::string(kNameDigits - length, '0').append(digits, length).append(kSuffix);
}

/// The sequence in a name, whatever stands behind it: 0000000000000001.seg.bad as well.
std::optional<std::uint64_t> sequence_of(std::string_view name) {
  if (name.size() < kNameDigits) return std::nullopt;
  std::uint64_t sequence = 0;
  const auto* const end = name.data() + kNameDigits;
  const auto parsed = std::from_chars(name.data(), end, sequence, 16);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return sequence;
}

bool is_before(const Segments::Segment& a, const Segments::Segment& b) {
  return a.summary.first_sequence < b.summary.first_sequence;
}

std::string path_of(const Folder& folder, const std::string& name) {
  return folder.path() + "/" + name;
}

void tell_unsynced(const Result<void>& synced, Segments::TakenOver& taken) {
  if (synced) return;
  taken.told.push_back(cat(synced.error().text,
                           ": what an earlier run has left there is sent, but ",
                           "what is not yet sent when the power fails may be lost"));
}

}  // namespace

Result<Segments::TakenOver> Segments::take_over(std::shared_ptr<Folder> folder, const Claim& claim,
                                                std::int64_t retry_ns) {
  auto entries = folder->list();
  if (!entries) return entries.error();
  std::sort(entries->begin(), entries->end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  TakenOver taken;
  std::vector<Segment> found;
  std::vector<std::string> bad;
  for (const auto& entry : *entries) {
    // No number of a name is given out again, whatever the file is.
    if (const auto sequence = sequence_of(entry.name)) {
      taken.end = std::max(taken.end, *sequence + 1);
    }
    if (entry.name.ends_with(kBadSuffix)) bad.push_back(entry.name);
    if (!entry.name.ends_with(kSuffix)) continue;
    static_cast<void>(inspect(folder, entry.name, taken, found, retry_ns));
  }
  // The newest stay; what was set aside just now is looked at next time.
  for (std::size_t i = 0; i + kBadFilesMax < bad.size(); ++i) {
    static_cast<void>(folder->remove(bad[i]));
  }

  std::stable_sort(found.begin(), found.end(), is_before);
  // What an unread segment holds ends where the next one begins.
  for (std::size_t i = 0; i + 1 < found.size(); ++i) {
    if (found[i].is_read) continue;
    found[i].summary.last_sequence =
        std::max(found[i].summary.first_sequence,
                 std::min(found[i].summary.last_sequence, found[i + 1].summary.first_sequence - 1));
  }
  std::uint64_t after = 0;
  std::vector<Segment> good;
  for (auto& segment : found) {
    const auto& summary = segment.summary;
    if (summary.first_sequence <= after && summary.last_sequence <= after) {
      set_aside(*folder, segment.name, kBadSuffix, taken);  // a copy of what another segment holds
      continue;
    }
    if (!claim(summary.first_sequence, summary.last_sequence)) {
      taken.told.push_back(cat(path_of(*folder, segment.name),
                               " has numbers that are in use: it is read after the next start"));
      continue;
    }
    after = summary.last_sequence;
    taken.end = std::max(taken.end, after + 1);
    taken.samples += summary.samples;
    good.push_back(std::move(segment));
  }

  if (!good.empty()) tell_unsynced(folder->sync(), taken);
  writer_.reset();
  const std::lock_guard lock(mutex_);
  std::erase_if(segments_, [&](const Segment& segment) {  // it is there again, or still
    return std::any_of(good.begin(), good.end(),
                       [&](const Segment& other) { return other.name == segment.name; });
  });
  segments_.insert(segments_.end(), std::make_move_iterator(good.begin()),
                   std::make_move_iterator(good.end()));
  std::stable_sort(segments_.begin(), segments_.end(), is_before);
  folder_ = std::move(folder);
  current_name_.clear();
  synced_.reset();
  return taken;
}

/// Adds the file to `found`. An error is that of a file that cannot be looked at now; it is in
/// `found` nevertheless.
Result<void> Segments::inspect(const std::shared_ptr<Folder>& folder, const std::string& name,
                               TakenOver& taken, std::vector<Segment>& found,
                               std::int64_t retry_ns) {
  const auto file = folder->open(name, Folder::Mode::read);
  const auto inspected = file ? inspect_segment(**file) : Result<FoundSegment>(file.error());
  if (!inspected) {
    taken.told.push_back(cat(inspected.error().text, "; it is tried again"));
    Segment segment{.folder = folder, .name = name, .summary = {}};
    const auto sequence = sequence_of(name).value_or(0);
    segment.summary.first_sequence = sequence;
    segment.summary.last_sequence = sequence + kSequencesMax;
    segment.is_read = false;
    segment.retry_ns = retry_ns;
    found.push_back(std::move(segment));
    return inspected.error();
  }
  switch (inspected->state) {
    case FoundSegment::State::older_version:
      set_aside(*folder, name, ".v1", taken);
      taken.told.push_back(cat(path_of(*folder, name),
                               " was written by a development build: it is ", "set aside as ", name,
                               ".v1"));
      return {};
    case FoundSegment::State::newer_version:
      set_aside(*folder, name, ".newer", taken);
      taken.told.push_back(cat(path_of(*folder, name),
                               " was written by a newer version: it is set ", "aside as ", name,
                               ".newer"));
      return {};
    case FoundSegment::State::unreadable:
      if (inspected->bytes <= kSegmentHeaderSize) {
        static_cast<void>(folder->remove(name));  // made, and never written to
        return {};
      }
      set_aside(*folder, name, kBadSuffix, taken);
      taken.told.push_back(cat(path_of(*folder, name), ": ", inspected->bytes, " bytes, of which ",
                               "nothing can be read: it is set aside as ", name, kBadSuffix));
      return {};
    case FoundSegment::State::good:
      break;
  }
  taken.damaged_regions += inspected->damaged_regions;
  // A process that was killed may not have synced it, and what a segment has is kept nowhere else.
  tell_unsynced((*file)->sync(), taken);
  // A segment is found by its name: one that was renamed by hand gets its own back.
  auto own_name = name_of(inspected->summary.first_sequence);
  if (name != own_name) {
    if (folder->open(own_name, Folder::Mode::read) || !folder->rename(name, own_name)) {
      set_aside(*folder, name, kBadSuffix, taken);
      return {};
    }
  }
  found.push_back({.folder = folder,
                   .name = std::move(own_name),
                   .summary = inspected->summary,
                   .bytes = inspected->bytes});
  return {};
}

void Segments::set_aside(Folder& folder, const std::string& name, std::string_view suffix,
                         TakenOver& taken) {
  static_cast<void>(folder.rename(name, name + std::string(suffix)));
  ++taken.damaged_regions;
}

bool Segments::try_unread(std::int64_t now_ns, std::int64_t retry_ns, TakenOver& taken) {
  bool any = false;
  for (const auto& segment : all()) {
    if (segment.retry_ns == 0 || segment.retry_ns > now_ns) continue;
    TakenOver anew;
    std::vector<Segment> found;
    const bool could_look = bool(inspect(segment.folder, segment.name, anew, found, retry_ns));
    if (!segment.is_read) taken.damaged_regions += anew.damaged_regions;
    // That it still cannot be read has been told.
    if (could_look) taken.told.insert(taken.told.end(), anew.told.begin(), anew.told.end());
    const std::lock_guard lock(mutex_);
    const auto place = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& other) {
      return other.name == segment.name;
    });
    if (place == segments_.end()) continue;
    if (!could_look) {
      place->retry_ns = retry_ns;
      continue;
    }
    any = true;
    if (found.empty()) {
      segments_.erase(place);
      continue;
    }
    if (place->is_read) {
      // What is known of it stays: behind that may be what was not synced, and stored again.
      place->retry_ns = 0;
    } else {
      *place = std::move(found.front());
      taken.samples += place->summary.samples;
    }
    taken.told.push_back(cat(path_of(*place->folder, place->name), " can be read again"));
  }
  return any;
}

std::vector<Segments::Segment> Segments::move_to_current() {
  std::vector<Segment> gone;
  const auto folder = this->folder();
  if (folder == nullptr) return gone;
  for (const auto& segment : all()) {
    if (segment.folder == folder || !segment.is_read || segment.retry_ns != 0) continue;
    const auto moved = move(segment, *folder);
    if (!moved && moved.error().kind == Error::Kind::no_data) gone.push_back(segment);
    if (!moved) continue;  // it is read where it is, and moved in a later round
    const std::lock_guard lock(mutex_);
    for (auto& other : segments_) {
      if (other.name == segment.name && other.folder == segment.folder) other.folder = folder;
    }
    static_cast<void>(segment.folder->remove(segment.name));
  }
  return gone;
}

/// By a copy that is synced before the original goes, under the same name.
Result<void> Segments::move(const Segment& segment, Folder& to) {
  const auto from = segment.folder->open(segment.name, Folder::Mode::read);
  if (!from) return from.error();
  const auto content = (*from)->read(0, std::min(segment.bytes, kCopyBytesMax));
  if (!content) return content.error();
  const auto copy = to.open(segment.name, Folder::Mode::create);
  if (!copy) return failed(copy.error().text);
  auto done = (*copy)->write(0, *content);
  if (done) done = (*copy)->sync();
  if (done) done = to.sync();
  if (done) return {};
  static_cast<void>(to.remove(segment.name));
  return failed(done.error().text);
}

Result<void> Segments::begin_segment(std::uint64_t first_sequence, std::int64_t boot_ns) {
  const auto folder = this->folder();
  if (folder == nullptr) return failed("no folder to write to");
  const auto name = name_of(first_sequence);
  const auto mode = name == leftover_ ? Folder::Mode::write : Folder::Mode::create;
  auto writer = SegmentWriter::create(*folder, name, mode, first_sequence);
  if (!writer) return writer.error();
  leftover_.clear();
  writer_ = std::move(*writer);
  folder_changed_ = true;
  const std::lock_guard lock(mutex_);
  current_name_ = name;
  Segment segment{.folder = folder, .name = name, .summary = {}};
  segment.summary.first_sequence = segment.summary.last_sequence = first_sequence;
  segment.begun_boot_ns = boot_ns;
  segments_.insert(std::upper_bound(segments_.begin(), segments_.end(), segment, is_before),
                   segment);
  return {};
}

/// The segment that is being written, or null. With the lock.
Segments::Segment* Segments::current() {
  if (current_name_.empty()) return nullptr;
  const auto place = std::find_if(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    return segment.name == current_name_;
  });
  return place != segments_.end() ? &*place : nullptr;
}

/// Whether another segment lies between what was written last and the entry: ranges do not overlap.
bool Segments::is_behind_another(const Entry& entry) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    return segment.name != current_name_ &&
           segment.summary.first_sequence > writer_->summary().last_sequence &&
           segment.summary.first_sequence < entry.first_sequence;
  });
}

Result<void> Segments::append(const Entry& entry, std::int64_t boot_ns) {
  if (writer_ && (writer_->bytes() >= segment_bytes_ || is_behind_another(entry) ||
                  entry.first_sequence - writer_->summary().last_sequence > kGapMax)) {
    if (auto ended = end_segment(); !ended) return ended;
  }
  const bool is_new = !writer_;
  if (is_new) {
    if (auto begun = begin_segment(entry.first_sequence, boot_ns); !begun) return begun;
  }
  if (auto appended = writer_->append(entry); !appended) {
    // What it took before is to be safe nevertheless.
    const auto writer = std::move(writer_);
    if (!is_new && writer->sync()) {
      mark_synced();
      const std::lock_guard lock(mutex_);
      current_name_.clear();
    } else {
      forget_unsynced();
    }
    return appended;
  }
  const std::lock_guard lock(mutex_);
  if (auto* const segment = current()) {
    segment->summary = writer_->summary();
    segment->bytes = writer_->bytes();
  }
  return {};
}

/// Without a summary a segment reads as well, only slower: that sealing failed is no reason to
/// fail.
Result<void> Segments::end_segment() {
  static_cast<void>(writer_->seal());
  {
    const std::lock_guard lock(mutex_);
    if (auto* const segment = current()) segment->bytes = writer_->bytes();
  }
  if (auto synced = sync(); !synced) return synced;
  writer_.reset();
  const std::lock_guard lock(mutex_);
  current_name_.clear();
  synced_.reset();
  return {};
}

Result<void> Segments::sync() {
  auto synced = writer_ ? writer_->sync() : Result<void>();
  if (synced && folder_changed_) {
    if (const auto folder = this->folder()) synced = folder->sync();
  }
  if (!synced) {
    forget_unsynced();
    return synced;
  }
  folder_changed_ = false;
  mark_synced();
  return {};
}

void Segments::mark_synced() {
  const std::lock_guard lock(mutex_);
  synced_.reset();
  if (const auto* const segment = current()) synced_ = *segment;
}

void Segments::forget_unsynced() {
  writer_.reset();
  const std::lock_guard lock(mutex_);
  auto* const segment = current();
  if (segment != nullptr && synced_ && synced_->name == segment->name) {
    // Where this fails the file keeps some entries that come again in the next segment; a consumer
    // may get those twice.
    if (auto file = segment->folder->open(segment->name, Folder::Mode::write)) {
      static_cast<void>((*file)->truncate(synced_->bytes));
    }
    *segment = *synced_;
  } else if (segment != nullptr) {
    if (!segment->folder->remove(segment->name)) leftover_ = segment->name;
    std::erase_if(segments_, [&](const Segment& other) { return other.name == current_name_; });
  }
  current_name_.clear();
  synced_.reset();
}

void Segments::remove(const Segment& segment) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(segments_, [&](const Segment& other) { return other.name == segment.name; });
    if (current_name_ == segment.name) {
      writer_.reset();
      current_name_.clear();
      synced_.reset();
    }
  }
  // What cannot be removed now is taken over, and removed, at the next start.
  static_cast<void>(segment.folder->remove(segment.name));
  folder_changed_ = true;
}

bool Segments::is_open() const {
  const std::lock_guard lock(mutex_);
  return folder_ != nullptr;
}

std::shared_ptr<Folder> Segments::folder() const {
  const std::lock_guard lock(mutex_);
  return folder_;
}

std::vector<Segments::Segment> Segments::all() const {
  const std::lock_guard lock(mutex_);
  return {segments_.begin(), segments_.end()};
}

std::optional<Segments::Segment> Segments::oldest_read() const {
  const std::lock_guard lock(mutex_);
  for (const auto& segment : segments_) {
    if (segment.is_read) return segment;
  }
  return std::nullopt;
}

std::optional<Segments::Segment> Segments::find(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  const Segment* found = nullptr;
  for (const auto& segment : segments_) {
    // Where ranges overlap, the one that begins last: the others may lack what is in it.
    if (segment.contains(sequence)) found = &segment;
    if (found == nullptr && segment.summary.first_sequence > sequence) found = &segment;
    if (segment.summary.first_sequence > sequence) break;
  }
  if (found == nullptr) return std::nullopt;
  return *found;
}

bool Segments::is_stored(std::uint64_t sequence) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    if (segment.name == current_name_) {
      return synced_ && synced_->name == segment.name && synced_->contains(sequence);
    }
    return segment.contains(sequence);
  });
}

Segments::Totals Segments::totals() const {
  const std::lock_guard lock(mutex_);
  Totals totals{segments_.size(), 0};
  for (const auto& segment : segments_) totals.bytes += segment.bytes;
  return totals;
}

void Segments::set_retry(const std::string& name, std::int64_t retry_ns) {
  const std::lock_guard lock(mutex_);
  for (auto& segment : segments_) {
    if (segment.name == name) segment.retry_ns = retry_ns;
  }
}

std::uint64_t Segments::count_in_segment(const Segment& segment, const Offset& offset) const {
  const auto& summary = segment.summary;
  if (!segment.is_read) return 0;
  auto done = offset.count(summary.first_sequence, summary.last_sequence);
  if (done == 0) return summary.samples;
  if (done == summary.last_sequence - summary.first_sequence + 1) return 0;
  std::uint64_t samples = 0;
  const auto file = segment.folder->open(segment.name, Folder::Mode::read);
  const auto entries =
      file ? entries_in(**file, segment.bytes) : Result<std::vector<EntryHead>>(file.error());
  if (!entries) {
    samples = done * summary.samples_per_sequence();
    return summary.samples - std::min(summary.samples, samples);
  }
  for (const auto& entry : *entries) {
    if (offset.contains(entry.last_sequence)) samples += entry.samples;
  }
  return summary.samples - std::min(summary.samples, samples);
}

std::uint64_t Segments::count_samples(const Offset& offset) const {
  std::uint64_t samples = 0;
  const auto segments = all();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const auto& summary = segments[i].summary;
    // What a failed sync left at the end of one was stored again in the next.
    if (i + 1 < segments.size() &&
        segments[i + 1].summary.first_sequence <= summary.last_sequence) {
      auto once = offset;
      once.add(segments[i + 1].summary.first_sequence, summary.last_sequence);
      samples += count_in_segment(segments[i], once);
    } else {
      samples += count_in_segment(segments[i], offset);
    }
  }
  return samples;
}

}  // namespace msp::queue
