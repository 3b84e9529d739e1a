#include "agent/queue/scrape_codec.h"

#include <algorithm>
#include <utility>

#include "agent/base/text.h"
#include "agent/queue/bytes.h"
#include "agent/queue/live_streams.h"

namespace msp::queue {
namespace {

bool is_same_set(const metrics::SeriesSet& a, const metrics::SeriesSet& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_same_series);
}

/// The states of a changed set: series that stay keep theirs, wherever they stand now.
void rearrange(std::vector<SeriesState>& states, const Layout& layout, std::size_t size) {
  std::vector<SeriesState> moved;
  moved.reserve(size);
  for (const auto& run : layout) {
    if (run.is_new) {
      moved.resize(moved.size() + run.count);
    } else {
      const auto first = states.begin() + static_cast<std::ptrdiff_t>(run.first);
      moved.insert(moved.end(), first, first + static_cast<std::ptrdiff_t>(run.count));
    }
  }
  states = std::move(moved);
}

}  // namespace

struct ScrapeEncoder::Chain {
  metrics::StreamPtr stream;
  std::uint64_t number = 0;                          // 0: its dictionary was not written
  std::shared_ptr<const metrics::SeriesSet> series;  // of the last scrape
  std::uint64_t hash = 0;                            // of series
  std::size_t label_bytes = 0;                       // of series
  std::vector<SeriesState> states;
  bool has_link = false;  // the scrape that a delta would follow was written
  std::uint32_t link = 0;
  std::uint64_t sequence = 0;
  std::int64_t timestamp_ms = 0;
  std::uint64_t interval_ms = 0;  // modulo 2^64, as all differences here
  unsigned since_keyframe = 0;
  std::size_t bytes_since_dictionary = 0;
  std::size_t dictionary_bytes = 0;

  bool dictionary_is_due() const {
    return number == 0 ||
           bytes_since_dictionary >=
               std::max(kDictionaryEveryBytes, kDictionaryEveryTimesItself * dictionary_bytes);
  }
  bool keyframe_is_due(std::uint64_t next_sequence, std::int64_t next_timestamp_ms) const {
    return !has_link || since_keyframe >= kKeyframeEvery || next_sequence <= sequence ||
           next_timestamp_ms <= timestamp_ms;
  }
  void append_scrape(std::uint64_t next_sequence, const metrics::Scrape& scrape, bool is_keyframe,
                     std::string& out);
};

ScrapeEncoder::ScrapeEncoder(Compress compress) : compress_(compress) {}
ScrapeEncoder::~ScrapeEncoder() = default;
ScrapeEncoder::ScrapeEncoder(ScrapeEncoder&&) noexcept = default;
ScrapeEncoder& ScrapeEncoder::operator=(ScrapeEncoder&&) noexcept = default;

Result<void> ScrapeEncoder::encode(std::uint64_t sequence, const metrics::Scrape& scrape,
                                   std::string& out) {
  out_of_memory_ = false;
  const auto series = scrape.series == nullptr ? 0 : scrape.series->size();
  if (scrape.series == nullptr || series != scrape.values.size()) {
    return failed(cat("buffer: scrape ", sequence, " has ", scrape.values.size(), " values for ",
                      series, " series"));
  }
  const auto name = name_of(scrape.stream);
  if (name.size() > kStreamNameMax) {
    return failed(cat("buffer: the name of scrape ", sequence, "'s stream has ", name.size(),
                      " bytes; the limit is ", kStreamNameMax));
  }
  auto* chain = use(chains_, [&](const Chain& known) {
    return known.stream == scrape.stream || name_of(known.stream) == name;
  });
  if (chain == nullptr) {
    chain = chains_.emplace_back(std::make_unique<Chain>()).get();
    chain->stream = scrape.stream;
  }
  const auto begin = out.size();
  Chain before;
  before.stream = chain->stream;
  before.series = chain->series;
  before.hash = chain->hash;
  before.label_bytes = chain->label_bytes;
  bool is_keyframe = keyframes_only_ || chain->keyframe_is_due(sequence, scrape.timestamp_ms);
  const auto appended = append_dictionaries(*chain, scrape, is_keyframe, out);
  if (appended != Appended::done) {
    out.resize(begin);
    // What the reader has of this stream, and lets go of others for, is what it had before.
    *chain = std::move(before);
    chain->states.assign(chain->series ? chain->series->size() : 0, {});
    chain->number = 0;
    chain->has_link = false;
    out_of_memory_ = appended == Appended::no_memory;
    if (out_of_memory_) {
      return failed(cat("buffer: no memory to compress the labels of scrape ", sequence,
                        ", which has ", series, " series"));
    }
    return failed(cat("buffer: scrape ", sequence, " has ", series,
                      " series: more than the format's ", kSeriesMax,
                      ", or their labels more than ", kContentBytesMax >> 20, " MiB"));
  }
  chain->append_scrape(sequence, scrape, is_keyframe, out);
  chain->bytes_since_dictionary += out.size() - begin;
  keep_to_limits(chains_);
  return {};
}

/// What a reader needs to know before `scrape`. Behind a full dictionary there is a keyframe.
Appended ScrapeEncoder::append_dictionaries(Chain& chain, const metrics::Scrape& scrape,
                                            bool& is_keyframe, std::string& out) {
  const bool is_same = chain.series != nullptr && (chain.series == scrape.series ||
                                                   is_same_set(*chain.series, *scrape.series));
  bool is_due = chain.number == 0 || ((is_keyframe || !is_same) && chain.dictionary_is_due());
  if (!is_same) {
    const auto hash = dictionary_hash(name_of(chain.stream), *scrape.series);
    const auto layout = chain.series ? layout_of(*scrape.series, *chain.series)
                                     : Layout{{true, 0, scrape.series->size()}};
    if (!is_due) {
      const auto begin = out.size();
      const auto appended = append_dictionary_change(chain.number, chain.hash, *scrape.series, hash,
                                                     layout, compress_, out);
      if (appended == Appended::done) {
        chain.link += record_at(std::string_view(out).substr(begin))->checksum;
      } else if (appended == Appended::not_worth_it) {
        is_due = true;
      } else {
        return appended;
      }
    }
    rearrange(chain.states, layout, scrape.series->size());
    chain.series = scrape.series;
    chain.hash = hash;
    chain.label_bytes = label_bytes(*scrape.series);
  }
  if (!is_due) return Appended::done;
  is_keyframe = true;
  return append_dictionary_of(chain, out);
}

Appended ScrapeEncoder::append_dictionary_of(Chain& chain, std::string& out) {
  const auto begin = out.size();
  if (chain.number == 0) chain.number = ++streams_;
  const auto appended = append_dictionary(chain.number, name_of(chain.stream), *chain.series,
                                          chain.hash, compress_, out);
  if (appended != Appended::done) return appended;
  chain.dictionary_bytes = out.size() - begin;
  chain.bytes_since_dictionary = 0;
  return Appended::done;
}

Result<void> ScrapeEncoder::encode_dictionaries(std::string& out) {
  restart();
  const auto begin = out.size();
  for (const auto& chain : chains_) {
    if (chain->series == nullptr) continue;
    if (append_dictionary_of(*chain, out) == Appended::done) continue;
    out.resize(begin);
    restart();
    out_of_memory_ = true;  // they were within the limits before
    return failed("buffer: no memory to compress the labels of all streams");
  }
  return {};
}

void ScrapeEncoder::restart() {
  streams_ = 0;
  for (const auto& chain : chains_) {
    chain->number = 0;
    chain->has_link = false;
  }
}

void ScrapeEncoder::Chain::append_scrape(std::uint64_t next_sequence, const metrics::Scrape& scrape,
                                         bool is_keyframe, std::string& out) {
  const auto begin = begin_record(out);
  const auto next_interval_ms = is_keyframe ? 0 : difference(scrape.timestamp_ms, timestamp_ms);
  append_varint(out, next_sequence);
  append_varint(out, number);
  append_varint(out, scrape.values.size());
  if (is_keyframe) {
    append_varint(out, fold_sign(static_cast<std::uint64_t>(scrape.timestamp_ms)));
    append_fixed(out, hash);
  } else {
    append_fixed(out, link);
    append_varint(out, fold_sign(next_interval_ms - interval_ms));
  }

  const auto values_begin = out.size();
  const auto count = scrape.values.size();
  const auto room = is_keyframe ? absolute_room(count) : changes_room(count);
  out.resize_and_overwrite(values_begin + room, [&](char* bytes, std::size_t) {
    const auto values = bytes + values_begin;
    const auto end = is_keyframe ? write_absolute(scrape.values, states, values)
                                 : write_changes(scrape.values, states, values);
    return static_cast<std::size_t>(end - bytes);
  });

  link = end_record(out, begin, is_keyframe ? RecordType::keyframe : RecordType::delta);
  series = scrape.series;
  sequence = next_sequence;
  timestamp_ms = scrape.timestamp_ms;
  interval_ms = next_interval_ms;
  has_link = true;
  since_keyframe = is_keyframe ? 1 : since_keyframe + 1;
}

Result<void> ScrapeEncoder::encode(std::uint64_t first_sequence, std::uint64_t last_sequence,
                                   const Request& request, std::string& out) {
  out_of_memory_ = false;
  return append_request(first_sequence, last_sequence, request, out);
}

struct ScrapeDecoder::Chain {
  metrics::StreamPtr stream;  // null: the one without a name
  std::uint64_t number = 0;   // in the file that is read; 0: none of its records has come yet
  std::uint64_t hash = 0;
  std::shared_ptr<const metrics::SeriesSet> series;
  std::size_t label_bytes = 0;
  std::vector<SeriesState> states;
  bool has_link = false;
  std::uint32_t link = 0;
  std::uint64_t sequence = 0;
  std::int64_t timestamp_ms = 0;
  std::uint64_t interval_ms = 0;
};

ScrapeDecoder::ScrapeDecoder() = default;
ScrapeDecoder::~ScrapeDecoder() = default;
ScrapeDecoder::ScrapeDecoder(ScrapeDecoder&&) noexcept = default;
ScrapeDecoder& ScrapeDecoder::operator=(ScrapeDecoder&&) noexcept = default;

ScrapeDecoder::Outcome ScrapeDecoder::feed(const Record& record, Decoded* decoded) {
  switch (record.type) {
    case RecordType::dictionary:
      return take_dictionary(record);
    case RecordType::dictionary_change:
      return take_change(record);
    case RecordType::keyframe:
      return take_keyframe(record, decoded);
    case RecordType::delta:
      return take_delta(record, decoded);
    case RecordType::request:
      return take_request(record, decoded);
    case RecordType::summary:
      return parse_summary(record) ? Outcome::none : Outcome::malformed;
    case RecordType::done:
      return Outcome::none;
  }
  return Outcome::unknown_type;
}

ScrapeDecoder::Outcome ScrapeDecoder::take_dictionary(const Record& record) {
  const auto head = dictionary_head(record);
  if (!head || head->number == 0) return Outcome::malformed;
  auto* chain =
      use(chains_, [&](const Chain& known) { return name_of(known.stream) == head->stream; });
  if (chain == nullptr || chain->hash != head->hash) {
    auto series = read_dictionary(*head);
    if (series == nullptr) return Outcome::malformed;
    if (chain == nullptr) {
      chain = chains_.emplace_back(std::make_unique<Chain>()).get();
      if (!head->stream.empty()) {
        chain->stream =
            std::make_shared<const metrics::Stream>(metrics::Stream{std::string(head->stream)});
      }
    }
    chain->series = std::move(series);
    chain->hash = head->hash;
    chain->label_bytes = label_bytes(*chain->series);
    chain->has_link = false;
  }
  bind(*chain, head->number);
  keep_to_limits(chains_);
  return Outcome::none;
}

ScrapeDecoder::Outcome ScrapeDecoder::take_change(const Record& record) {
  const auto head = dictionary_head(record);
  if (!head) return Outcome::malformed;
  auto* chain = use_number(head->number);
  if (chain == nullptr) return Outcome::no_dictionary;
  if (chain->hash == head->hash) return Outcome::none;
  if (static_cast<std::uint32_t>(chain->hash) != head->base) return Outcome::no_dictionary;
  Layout layout;
  auto series = read_dictionary_change(*head, name_of(chain->stream), *chain->series, layout);
  if (series == nullptr) return Outcome::malformed;
  if (chain->has_link) rearrange(chain->states, layout, series->size());
  chain->link += record.checksum;
  chain->series = std::move(series);
  chain->hash = head->hash;
  chain->label_bytes = label_bytes(*chain->series);
  keep_to_limits(chains_);
  return Outcome::none;
}

/// From now on `number` means `chain`, the last one.
void ScrapeDecoder::bind(Chain& chain, std::uint64_t number) {
  if (chain.number == number) return;
  for (const auto& other : chains_) {
    if (other->number == number) other->number = 0;
  }
  chain.number = number;
}

ScrapeDecoder::Chain* ScrapeDecoder::use_number(std::uint64_t number) {
  if (number == 0) return nullptr;
  return use(chains_, [&](const Chain& known) { return known.number == number; });
}

ScrapeDecoder::Outcome ScrapeDecoder::take_keyframe(const Record& record, Decoded* decoded) {
  ByteReader reader(record.payload);
  const auto sequence = reader.varint();
  const auto number = reader.varint();
  const auto samples = reader.varint();
  const auto timestamp_ms = static_cast<std::int64_t>(unfold_sign(reader.varint()));
  const auto hash = reader.fixed<std::uint64_t>();
  if (!reader.ok() || number == 0) return Outcome::malformed;
  // The hash says which stream it is, wherever its dictionary was read.
  auto* chain = use(chains_, [&](const Chain& known) { return known.hash == hash; });
  if (chain == nullptr) return Outcome::no_dictionary;
  bind(*chain, number);
  if (samples != chain->series->size()) return Outcome::malformed;

  chain->states.resize(samples);
  values_.resize(samples);
  chain->interval_ms = 0;
  chain->timestamp_ms = timestamp_ms;
  return finish(record, *chain, sequence, read_absolute(reader.rest(), chain->states, values_),
                decoded);
}

ScrapeDecoder::Outcome ScrapeDecoder::take_delta(const Record& record, Decoded* decoded) {
  ByteReader reader(record.payload);
  const auto sequence = reader.varint();
  const auto number = reader.varint();
  const auto samples = reader.varint();
  const auto predecessor = reader.fixed<std::uint32_t>();
  const auto interval_change = unfold_sign(reader.varint());
  if (!reader.ok()) return Outcome::malformed;
  auto* chain = use_number(number);
  if (chain == nullptr || !chain->has_link || predecessor != chain->link ||
      sequence <= chain->sequence) {
    return Outcome::broken_chain;
  }
  if (samples != chain->states.size()) return Outcome::malformed;

  values_.resize(samples);
  chain->interval_ms += interval_change;
  chain->timestamp_ms = sum(chain->timestamp_ms, chain->interval_ms);
  return finish(record, *chain, sequence, read_changes(reader.rest(), chain->states, values_),
                decoded);
}

ScrapeDecoder::Outcome ScrapeDecoder::finish(const Record& record, Chain& chain,
                                             std::uint64_t sequence, bool values_are_good,
                                             Decoded* decoded) {
  chain.has_link = values_are_good;
  if (!values_are_good) return Outcome::malformed;
  chain.sequence = sequence;
  chain.link = record.checksum;
  if (decoded != nullptr) {
    *decoded = {sequence, sequence,
                std::make_shared<const metrics::Scrape>(
                    metrics::Scrape{chain.timestamp_ms, chain.series, values_, chain.stream}),
                nullptr};
  }
  return Outcome::scrape;
}

ScrapeDecoder::Outcome ScrapeDecoder::take_request(const Record& record, Decoded* decoded) {
  auto request = read_request(record, last_stream_);
  if (!request) return Outcome::malformed;
  if (decoded == nullptr) return Outcome::request;
  const auto head = entry_head(record);
  last_stream_ = request->stream;
  *decoded = {head->first_sequence, head->last_sequence, nullptr,
              std::make_shared<const Request>(std::move(*request))};
  return Outcome::request;
}

}  // namespace msp::queue
