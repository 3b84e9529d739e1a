#include "agent/queue/wal.h"

#include <algorithm>

#include "agent/queue/format.h"
#include "agent/queue/record_scanner.h"

namespace msp {
namespace {

constexpr std::uint64_t kBytesMax = 64 << 20;

/// Bytes of the records before the first scrape in `records`.
std::size_t dictionary_size(std::string_view records) {
  RecordScanner scanner(records);
  std::size_t end = 0;
  for (auto record = scanner.next(); record && !entry_head(*record); record = scanner.next()) {
    end = scanner.good_end();
  }
  return end;
}

}  // namespace

Result<void> Wal::open(FileSystem& files, const std::string& path) {
  auto file = files.open(path, FileSystem::Mode::write);
  if (!file) return file.error();
  files_ = &files;
  path_ = path;
  file_ = std::move(*file);
  const auto size = file_->size();
  if (!size) return close_after(size.error());
  bytes_ = *size <= kBytesMax ? *size : 0;  // what is larger is not ours: it is written over
  dictionary_end_ = 0;
  encoder_.restart();
  encoder_.set_keyframes_only(true);
  return {};
}

Result<std::vector<ScrapeDecoder::Decoded>> Wal::read() const {
  const auto content = file_->read(0, bytes_);
  if (!content) return content.error();
  std::vector<ScrapeDecoder::Decoded> scrapes;
  RecordScanner scanner(*content, std::min<std::size_t>(kSegmentHeaderSize, content->size()));
  ScrapeDecoder decoder;
  while (const auto record = scanner.next()) {
    ScrapeDecoder::Decoded decoded;
    if (decoder.feed(*record, &decoded) == ScrapeDecoder::Outcome::scrape) {
      scrapes.push_back(std::move(decoded));
    }
  }
  return scrapes;
}

Result<void> Wal::append(std::uint64_t sequence, const Scrape& scrape) {
  if (bytes_ < kSegmentHeaderSize) {
    if (auto done = start_over(); !done) return done;
  }
  records_.clear();
  if (auto encoded = encoder_.encode(sequence, scrape, records_); !encoded) return encoded;
  if (auto written = file_->write(bytes_, records_); !written) return close_after(written);
  const auto dictionary = dictionary_size(records_);
  if (bytes_ == kSegmentHeaderSize) {
    dictionary_end_ = bytes_ + dictionary;
  } else if (dictionary > 0) {
    dictionary_end_ = 0;  // scrapes stand between this dictionary and the one it builds on
  }
  bytes_ += records_.size();
  if (dictionary > 0) records_ = {};  // all labels; what comes next is much smaller
  return {};
}

/// By another file and a rename, so that a crash finds either all of the old or all of the new.
Result<void> Wal::rewrite(const std::vector<ScrapeDecoder::Decoded>& scrapes) {
  const auto temporary = path_ + ".new";
  Wal anew;
  if (auto opened = anew.open(*files_, temporary); !opened) return close_after(opened);
  anew.bytes_ = 0;
  for (const auto& stored : scrapes) {
    auto appended = anew.append(stored.first_sequence, *stored.scrape);
    if (!appended) return close_after(appended);
  }
  if (auto renamed = files_->rename(temporary, path_); !renamed) return close_after(renamed);
  anew.path_ = path_;
  *this = std::move(anew);
  return {};
}

Result<void> Wal::clear() {
  if (bytes_ <= kSegmentHeaderSize || bytes_ == dictionary_end_) return {};
  if (dictionary_end_ == 0) return start_over();
  if (auto done = file_->truncate(dictionary_end_); !done) return close_after(done);
  bytes_ = dictionary_end_;
  return {};
}

Result<void> Wal::start_over() {
  if (auto done = file_->truncate(0); !done) return close_after(done);
  const auto header = make_segment_header(0);
  if (auto done = file_->write(0, header); !done) return close_after(done);
  bytes_ = header.size();
  dictionary_end_ = 0;
  encoder_.restart();
  return {};
}

Result<void> Wal::close_after(Result<void> failure) {
  file_.reset();
  return failure;
}

}  // namespace msp
