#include "agent/queue/wal.h"

#include <algorithm>
#include <utility>

#include "agent/queue/bytes.h"
#include "agent/queue/format.h"
#include "agent/queue/record_scanner.h"

namespace msp::queue {
namespace {

const std::string kName = "wal";
constexpr std::uint64_t kBytesMax = 64 << 20;

/// A consumer's name behind first:v last:v.
void append_done_record(std::string_view consumer, std::uint64_t first, std::uint64_t last,
                        std::string& out) {
  const auto begin = begin_record(out);
  append_varint(out, first);
  append_varint(out, last);
  out += consumer;
  end_record(out, begin, RecordType::done);
}

void read_done(const Record& record, Offsets& done) {
  ByteReader reader(record.payload);
  const auto first = reader.varint();
  const auto last = reader.varint();
  if (!reader.ok() || last < first || last + 1 == 0) return;
  done[std::string(reader.rest())].add(first, last);
}

}  // namespace

Result<void> Wal::open(std::shared_ptr<Folder> folder) {
  auto file = folder->open(kName, Folder::Mode::write);
  if (!file) return file.error();
  folder_ = std::move(folder);
  file_ = std::move(*file);
  const auto size = file_->size();
  if (!size) return close_after(size.error());
  bytes_ = *size <= kBytesMax ? *size : 0;  // what is larger is not ours: it is written over
  encoder_.restart();
  encoder_.set_keyframes_only(true);
  return {};
}

Result<Wal::Content> Wal::read() const {
  const auto bytes = file_->read(0, bytes_);
  if (!bytes) return bytes.error();
  Content content;
  const auto header = parse_segment_header(*bytes);
  if (header.state == SegmentHeader::State::newer_version ||
      header.state == SegmentHeader::State::older_version) {
    return content;
  }
  RecordScanner scanner(*bytes, std::min<std::size_t>(kSegmentHeaderSize, bytes->size()));
  ScrapeDecoder decoder;
  while (const auto record = scanner.next()) {
    if (record->type == RecordType::done) {
      read_done(*record, content.done);
      continue;
    }
    ScrapeDecoder::Decoded decoded;
    const auto outcome = decoder.feed(*record, &decoded);
    if (outcome != ScrapeDecoder::Outcome::scrape && outcome != ScrapeDecoder::Outcome::request) {
      continue;
    }
    content.entries.push_back({decoded.first_sequence, decoded.last_sequence,
                               std::move(decoded.scrape), std::move(decoded.request)});
  }
  content.damaged_regions = scanner.damaged_regions();
  return content;
}

Result<void> Wal::append(const Entry& entry) {
  records_.clear();
  auto encoded = entry.scrape ? encoder_.encode(entry.first_sequence, *entry.scrape, records_)
                              : encoder_.encode(entry.first_sequence, entry.last_sequence,
                                                *entry.request, records_);
  if (!encoded) return encoded;  // a limit of the format: the file is as it was
  return put();
}

Result<void> Wal::append_done(std::string_view consumer, std::uint64_t first, std::uint64_t last) {
  records_.clear();
  append_done_record(consumer, first, last, records_);
  return put();
}

Result<void> Wal::put() {
  if (bytes_ < kSegmentHeaderSize) {
    if (auto done = file_->truncate(0); !done) return close_after(done);
    records_.insert(0, make_segment_header(0));
    bytes_ = 0;
  }
  if (auto written = file_->write(bytes_, records_); !written) return close_after(written);
  bytes_ += records_.size();
  // With a dictionary it has all labels; what comes next is much smaller.
  if (records_.capacity() > std::size_t{64} << 10) records_ = {};
  return {};
}

Result<void> Wal::rewrite(const std::vector<Entry>& entries, const Offsets& done) {
  const auto temporary = kName + ".new";
  records_ = make_segment_header(0);
  if (entries.empty()) {
    if (auto encoded = encoder_.encode_dictionaries(records_); !encoded) return encoded;
  } else {
    encoder_.restart();
  }
  for (const auto& [consumer, offset] : done) {
    if (offset.next() > 0) append_done_record(consumer, 0, offset.next() - 1, records_);
    for (const auto& range : offset.ranges()) {
      append_done_record(consumer, range.first, range.last, records_);
    }
  }
  for (const auto& entry : entries) {
    const auto encoded =
        entry.scrape
            ? encoder_.encode(entry.first_sequence, *entry.scrape, records_)
            : encoder_.encode(entry.first_sequence, entry.last_sequence, *entry.request, records_);
    static_cast<void>(encoded);  // over a limit of the format: it is in memory only
  }
  auto file = folder_->open(temporary, Folder::Mode::write);
  if (!file) return close_after(file.error());
  if (auto cut = (*file)->truncate(0); !cut) return close_after(cut);
  if (auto written = (*file)->write(0, records_); !written) return close_after(written);
  if (auto renamed = folder_->rename(temporary, kName); !renamed) return close_after(renamed);
  file_ = std::move(*file);
  bytes_ = std::exchange(records_, {}).size();
  return {};
}

bool Wal::is_empty() const {
  return bytes_ <= kSegmentHeaderSize;
}

Result<void> Wal::close_after(Result<void> failure) {
  file_.reset();
  return failure;
}

}  // namespace msp::queue
