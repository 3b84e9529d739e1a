#include "agent/queue/scrape_codec.h"

#include <algorithm>
#include <utility>

#include "agent/base/text.h"
#include "agent/queue/bytes.h"
#include "agent/queue/dictionary.h"

namespace msp {
namespace {

std::uint64_t difference(std::int64_t a, std::int64_t b) {
  return static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b);
}

std::int64_t sum(std::int64_t a, std::uint64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + b);
}

}  // namespace

Result<void> ScrapeEncoder::encode(std::uint64_t sequence, const Scrape& scrape, std::string& out) {
  const auto series = scrape.series == nullptr ? 0 : scrape.series->size();
  if (scrape.series == nullptr || series != scrape.values.size()) {
    return failed(cat("buffer: scrape ", sequence, " has ", scrape.values.size(), " values for ",
                      series, " series"));
  }
  const bool is_same = is_same_set(scrape);
  const bool is_keyframe = !is_same || keyframe_is_due(sequence, scrape.timestamp_ms);
  const auto begin = out.size();
  if (is_keyframe && !append_dictionaries(scrape, is_same, out)) {
    out.resize(begin);
    restart();
    return failed(cat("buffer: scrape ", sequence, " has ", series,
                      " series: more than the format's ", kSeriesMax,
                      ", or their labels more than ", kContentBytesMax >> 20, " MiB"));
  }
  append_scrape(sequence, scrape, is_keyframe, out);
  bytes_since_dictionary_ += out.size() - begin;
  return {};
}

void ScrapeEncoder::restart() {
  has_dictionary_ = false;
  has_chain_ = false;
}

bool ScrapeEncoder::is_same_set(const Scrape& scrape) const {
  if (series_ == scrape.series) return true;
  return series_ != nullptr &&
         std::equal(series_->begin(), series_->end(), scrape.series->begin(), scrape.series->end(),
                    [](const SeriesPtr& a, const SeriesPtr& b) {
                      return a == b || a->labels == b->labels;
                    });
}

bool ScrapeEncoder::keyframe_is_due(std::uint64_t sequence, std::int64_t timestamp_ms) const {
  return keyframes_only_ || !has_chain_ || since_keyframe_ >= kKeyframeEvery ||
         sequence != sequence_ + 1 || timestamp_ms <= timestamp_ms_;
}

/// What a reader needs to know before a keyframe of `scrape`.
bool ScrapeEncoder::append_dictionaries(const Scrape& scrape, bool is_same, std::string& out) {
  const auto hash = is_same ? hash_ : dictionary_hash(*scrape.series);
  const bool full_is_due =
      !has_dictionary_ ||
      bytes_since_dictionary_ >=
          std::max(kDictionaryEveryBytes, kDictionaryEveryTimesItself * dictionary_bytes_);
  const bool is_known =
      !full_is_due &&
      (is_same || append_dictionary_change(*series_, hash_, *scrape.series, hash, out));
  if (!is_known) {
    const auto begin = out.size();
    if (!append_dictionary(*scrape.series, hash, out)) return false;
    dictionary_bytes_ = out.size() - begin;
    bytes_since_dictionary_ = 0;
  }
  if (!is_same) states_.assign(scrape.values.size(), {});
  series_ = scrape.series;
  hash_ = hash;
  has_dictionary_ = true;
  return true;
}

void ScrapeEncoder::append_scrape(std::uint64_t sequence, const Scrape& scrape, bool is_keyframe,
                                  std::string& out) {
  const auto begin = begin_record(out);
  const auto interval_ms = is_keyframe ? 0 : difference(scrape.timestamp_ms, timestamp_ms_);
  append_varint(out, sequence);
  append_varint(out, scrape.values.size());
  if (is_keyframe) {
    append_varint(out, fold_sign(static_cast<std::uint64_t>(scrape.timestamp_ms)));
    append_fixed(out, hash_);
  } else {
    append_fixed(out, checksum_);
    append_varint(out, fold_sign(interval_ms - interval_ms_));
  }

  const auto values_begin = out.size();
  const auto room = scrape.values.size() * kValueBytesMax;
  out.resize_and_overwrite(values_begin + room, [&](char* bytes, std::size_t) {
    const auto values = bytes + values_begin;
    const auto end = is_keyframe ? write_absolute(scrape.values, states_, values)
                                 : write_changes(scrape.values, states_, values);
    return static_cast<std::size_t>(end - bytes);
  });

  checksum_ = end_record(out, begin, is_keyframe ? RecordType::keyframe : RecordType::delta);
  series_ = scrape.series;
  sequence_ = sequence;
  timestamp_ms_ = scrape.timestamp_ms;
  interval_ms_ = interval_ms;
  has_chain_ = true;
  since_keyframe_ = is_keyframe ? 1 : since_keyframe_ + 1;
}

ScrapeDecoder::Outcome ScrapeDecoder::feed(const Record& record, Decoded* decoded) {
  switch (record.type) {
    case RecordType::dictionary:
    case RecordType::dictionary_change:
      return take_dictionary(record);
    case RecordType::keyframe:
      return take_keyframe(record, decoded);
    case RecordType::delta:
      return take_delta(record, decoded);
    case RecordType::summary:
      return parse_summary(record) ? Outcome::none : Outcome::malformed;
  }
  return Outcome::unknown_type;
}

ScrapeDecoder::Outcome ScrapeDecoder::take_dictionary(const Record& record) {
  ByteReader reader(record.payload);
  const auto hash = reader.fixed<std::uint64_t>();
  if (!reader.ok()) return Outcome::malformed;
  if (find(hash) != nullptr) return Outcome::none;

  std::shared_ptr<const SeriesSet> series;
  if (record.type == RecordType::dictionary) {
    series = read_dictionary(record.payload);
  } else {
    const auto base = find(reader.fixed<std::uint64_t>());
    if (!reader.ok()) return Outcome::malformed;
    if (base == nullptr) return Outcome::no_dictionary;
    series = read_dictionary_change(record.payload, *base);
  }
  if (series == nullptr) return Outcome::malformed;
  if (dictionaries_.size() == kDictionariesKept) dictionaries_.erase(dictionaries_.begin());
  dictionaries_.push_back({hash, std::move(series)});
  return Outcome::none;
}

std::shared_ptr<const SeriesSet> ScrapeDecoder::find(std::uint64_t hash) {
  const auto found = std::find_if(dictionaries_.begin(), dictionaries_.end(),
                                  [&](const Dictionary& known) { return known.hash == hash; });
  if (found == dictionaries_.end()) return nullptr;
  std::rotate(found, found + 1, dictionaries_.end());
  return dictionaries_.back().series;
}

ScrapeDecoder::Outcome ScrapeDecoder::take_keyframe(const Record& record, Decoded* decoded) {
  ByteReader reader(record.payload);
  const auto sequence = reader.varint();
  const auto samples = reader.varint();
  const auto timestamp_ms = static_cast<std::int64_t>(unfold_sign(reader.varint()));
  const auto hash = reader.fixed<std::uint64_t>();
  if (!reader.ok()) return Outcome::malformed;
  auto series = find(hash);
  if (series == nullptr) return Outcome::no_dictionary;
  if (samples != series->size()) return Outcome::malformed;

  series_ = std::move(series);
  states_.resize(samples);
  values_.resize(samples);
  interval_ms_ = 0;
  return finish(record, sequence, timestamp_ms, read_absolute(reader.rest(), states_, values_),
                decoded);
}

ScrapeDecoder::Outcome ScrapeDecoder::take_delta(const Record& record, Decoded* decoded) {
  ByteReader reader(record.payload);
  const auto sequence = reader.varint();
  const auto samples = reader.varint();
  const auto predecessor = reader.fixed<std::uint32_t>();
  const auto interval_change = unfold_sign(reader.varint());
  if (!reader.ok()) return Outcome::malformed;
  if (!has_chain_ || sequence != sequence_ + 1 || predecessor != checksum_) {
    return Outcome::broken_chain;
  }
  if (samples != states_.size()) return Outcome::malformed;

  interval_ms_ += interval_change;
  return finish(record, sequence, sum(timestamp_ms_, interval_ms_),
                read_changes(reader.rest(), states_, values_), decoded);
}

ScrapeDecoder::Outcome ScrapeDecoder::finish(const Record& record, std::uint64_t sequence,
                                             std::int64_t timestamp_ms, bool values_are_good,
                                             Decoded* decoded) {
  has_chain_ = values_are_good;
  if (!values_are_good) return Outcome::malformed;
  sequence_ = sequence;
  timestamp_ms_ = timestamp_ms;
  checksum_ = record.checksum;
  if (decoded != nullptr) {
    *decoded = {sequence, std::make_shared<const Scrape>(Scrape{timestamp_ms, series_, values_})};
  }
  return Outcome::scrape;
}

}  // namespace msp
