#include "agent/queue/dictionary.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "agent/queue/bytes.h"

namespace msp::queue {
namespace {

constexpr std::uint64_t kTypes = 8;             // a length and a type share an integer
constexpr std::size_t kLookBack = 64;           // series in which one that is alike is looked for
constexpr std::size_t kRoughlyAlike = 24;       // bytes that differ: look no further
constexpr std::size_t kCompressFrom = 128;      // bytes: less does not pay for a frame's header
constexpr std::size_t kSeriesBytesBesides = 3;  // what a series' length and type take at most

// What is known of a series that was read back: its name is in its labels, its help is not stored.
constexpr std::array<metrics::MetricDesc, 5> kTypeOnly = {
    {{"", "", "", metrics::MetricType::counter},
     {"", "", "", metrics::MetricType::gauge},
     {"", "", "", metrics::MetricType::histogram},
     {"", "", "", metrics::MetricType::summary},
     {"", "", "", metrics::MetricType::untyped}}};

metrics::MetricType type_of(const metrics::Series& series) {
  return series.desc != nullptr ? series.desc->type : metrics::MetricType::untyped;
}

std::uint64_t length_and_type(std::size_t length, metrics::MetricType type) {
  return length * kTypes + static_cast<std::uint64_t>(type);
}

bool is_untyped(std::uint64_t type) {
  return type == static_cast<std::uint64_t>(metrics::MetricType::untyped);
}

/// How a series is written: as the series that stands `back` places before it, but for the middle.
struct Likeness {
  std::size_t back = 0;  // 0: like nothing
  std::size_t prefix = 0;
  std::size_t suffix = 0;
};

Likeness compare(std::string_view flat, std::string_view other, std::size_t back) {
  const auto most = std::min(flat.size(), other.size());
  const auto prefix = static_cast<std::size_t>(
      std::mismatch(flat.begin(), flat.begin() + static_cast<std::ptrdiff_t>(most), other.begin())
          .first -
      flat.begin());
  std::size_t suffix = 0;
  while (suffix < most - prefix &&
         flat[flat.size() - 1 - suffix] == other[other.size() - 1 - suffix]) {
    ++suffix;
  }
  return {back, prefix, suffix};
}

/// Writes new series one after the other; remembers how far back the last one's likeness was, for a
/// device's series stand in one order behind those of the device before.
class SeriesWriter {
 public:
  SeriesWriter(const metrics::SeriesSet& set, std::size_t look_back)
      : set_(set), look_back_(look_back) {}

  void append(std::size_t index, std::string& content) {
    const auto& series = *set_[index];
    const auto flat = series.labels.flat();
    const auto alike = find_alike(index, flat);
    if (alike.back != 0) last_back_ = alike.back;
    append_varint(content, alike.back);
    if (alike.back != 0) {
      append_varint(content, alike.prefix);
      append_varint(content, alike.suffix);
    }
    const auto middle = flat.substr(alike.prefix, flat.size() - alike.prefix - alike.suffix);
    append_varint(content, length_and_type(middle.size(), type_of(series)));
    content.append(middle);
  }

 private:
  Likeness find_alike(std::size_t index, std::string_view flat) const {
    Likeness best;
    const auto consider = [&](std::size_t back) {
      if (back == 0 || back > index) return;
      const auto alike = compare(flat, set_[index - back]->labels.flat(), back);
      if (alike.prefix + alike.suffix > best.prefix + best.suffix) best = alike;
    };
    consider(1);
    if (last_back_ != 1) consider(last_back_);
    for (std::size_t back = 2; back <= look_back_; ++back) {
      if (flat.size() - best.prefix - best.suffix < kRoughlyAlike) break;
      consider(back);
    }
    return best;
  }

  const metrics::SeriesSet& set_;
  const std::size_t look_back_;
  std::size_t last_back_ = 1;
};

/// The next series of a content, which stands behind `before`; null where it is not well formed.
metrics::SeriesPtr read_series(ByteReader& content, const metrics::SeriesSet& before,
                               std::string& flat) {
  const auto back = content.varint();
  if (back > before.size()) return nullptr;
  flat.clear();
  std::string_view tail;
  if (back != 0) {
    const auto other = before[before.size() - back]->labels.flat();
    const auto prefix = content.varint();
    const auto suffix = content.varint();
    if (prefix > other.size() || suffix > other.size() - prefix) return nullptr;
    flat.append(other.substr(0, prefix));
    tail = other.substr(other.size() - suffix);
  }
  const auto length = content.varint();
  const auto type = length % kTypes;
  flat.append(content.take(length / kTypes));
  flat.append(tail);
  auto series = std::make_shared<metrics::Series>();
  if (!content.ok() || type >= kTypeOnly.size() || !series->labels.assign_flat(flat)) {
    return nullptr;
  }
  if (!is_untyped(type)) series->desc = &kTypeOnly[type];
  return series;
}

/// Appends `content` compressed, or as it is where that is shorter or suspiciously much longer.
bool append_block(const std::string& content, Compress compress, std::string& out) {
  std::string block;
  if (content.size() >= kCompressFrom && !compress(content, {}, block)) return false;
  const bool pays = content.size() >= kCompressFrom && block.size() < content.size() &&
                    block.size() * kExpansionMax >= content.size();
  out.append(pays ? block : content);
  return true;
}

std::optional<std::string> read_block(std::string_view block, std::uint64_t content_size) {
  if (content_size == block.size()) return std::string(block);
  if (content_size > kContentBytesMax || content_size > block.size() * kExpansionMax) {
    return std::nullopt;
  }
  return decompress_block(block, content_size, {});
}

std::optional<Layout> read_layout(ByteReader& reader, std::size_t base_size) {
  const auto count = reader.varint();
  Layout layout;
  std::uint64_t expected = 0;
  std::uint64_t series = 0;
  for (std::uint64_t i = 0; i < count && reader.ok(); ++i) {
    const auto head = reader.varint();
    Run run{(head & 1) != 0, 0, head >> 1};
    if (run.count == 0 || run.count > kSeriesMax) return std::nullopt;
    series += run.count;
    if (!run.is_new) {
      run.first = expected + unfold_sign(reader.varint());
      if (run.first > base_size || run.count > base_size - run.first) return std::nullopt;
      expected = run.first + run.count;
    }
    if (series > kSeriesMax) return std::nullopt;
    layout.push_back(run);
  }
  if (!reader.ok()) return std::nullopt;
  return layout;
}

/// Ends the record at `begin`, or takes it back where it is too long.
Appended end(RecordType type, std::size_t begin, std::string& out) {
  if (out.size() - begin - kRecordHeaderSize > kPayloadMax) {
    out.resize(begin);
    return Appended::over_limit;
  }
  end_record(out, begin, type);
  return Appended::done;
}

}  // namespace

std::size_t label_bytes(const metrics::SeriesSet& set) {
  std::size_t bytes = 0;
  for (const auto& series : set) bytes += series->labels.flat().size() + kSeriesBytesBesides;
  return bytes;
}

std::uint64_t dictionary_hash(std::string_view stream, const metrics::SeriesSet& set) {
  ContentHash hash;
  std::string length;
  append_varint(length, stream.size());
  hash.add(length);
  hash.add(stream);
  for (const auto& series : set) {
    length.clear();
    append_varint(length, length_and_type(series->labels.flat().size(), type_of(*series)));
    hash.add(length);
    hash.add(series->labels.flat());
  }
  return hash.value();
}

bool is_same_series(const metrics::SeriesPtr& a, const metrics::SeriesPtr& b) {
  return a == b || (a->labels == b->labels && type_of(*a) == type_of(*b));
}

Appended append_dictionary(std::uint64_t number, std::string_view stream,
                           const metrics::SeriesSet& set, std::uint64_t hash, Compress compress,
                           std::string& out) {
  if (set.size() > kSeriesMax || label_bytes(set) > kContentBytesMax) return Appended::over_limit;
  std::string content;
  SeriesWriter writer(set, 1);
  for (std::size_t i = 0; i < set.size(); ++i) writer.append(i, content);

  const auto begin = begin_record(out);
  append_varint(out, number);
  append_varint(out, stream.size());
  out.append(stream);
  append_fixed(out, hash);
  append_varint(out, content.size());
  if (!append_block(content, compress, out)) {
    out.resize(begin);
    return Appended::no_memory;
  }
  return end(RecordType::dictionary, begin, out);
}

/// Most series stand behind the one they stood behind before; only the others are looked up.
Layout layout_of(const metrics::SeriesSet& set, const metrics::SeriesSet& base) {
  Layout layout;
  std::unordered_map<std::string_view, std::size_t> index_of_labels;
  std::size_t expected = 0;
  for (const auto& series : set) {
    auto index = expected;
    if (index >= base.size() || !is_same_series(base[index], series)) {
      if (index_of_labels.empty()) {
        index_of_labels.reserve(base.size());
        for (std::size_t i = 0; i < base.size(); ++i) {
          index_of_labels.emplace(base[i]->labels.flat(), i);
        }
      }
      const auto found = index_of_labels.find(series->labels.flat());
      index = found != index_of_labels.end() && is_same_series(base[found->second], series)
                  ? found->second
                  : base.size();
    }
    const bool is_new = index >= base.size();
    const bool goes_on = !layout.empty() && layout.back().is_new == is_new &&
                         (is_new || layout.back().first + layout.back().count == index);
    if (!goes_on) layout.push_back({is_new, is_new ? 0 : index, 0});
    ++layout.back().count;
    if (!is_new) expected = index + 1;
  }
  return layout;
}

Appended append_dictionary_change(std::uint64_t number, std::uint64_t base_hash,
                                  const metrics::SeriesSet& set, std::uint64_t hash,
                                  const Layout& layout, Compress compress, std::string& out) {
  std::size_t new_series = 0;
  for (const auto& run : layout) new_series += run.is_new ? run.count : 0;
  if (new_series > set.size() / 2) return Appended::not_worth_it;
  if (set.size() > kSeriesMax || label_bytes(set) > kContentBytesMax) return Appended::over_limit;

  const auto begin = begin_record(out);
  append_varint(out, number);
  append_fixed(out, hash);
  append_fixed(out, static_cast<std::uint32_t>(base_hash));
  append_varint(out, layout.size());
  std::string content;
  SeriesWriter writer(set, kLookBack);
  std::size_t at = 0;
  std::size_t expected = 0;
  for (const auto& run : layout) {
    append_varint(out, run.count * 2 + (run.is_new ? 1 : 0));
    if (run.is_new) {
      for (auto i = at; i < at + run.count; ++i) writer.append(i, content);
    } else {
      append_varint(out, fold_sign(run.first - expected));
      expected = run.first + run.count;
    }
    at += run.count;
  }
  append_varint(out, content.size());
  if (!append_block(content, compress, out)) {
    out.resize(begin);
    return Appended::no_memory;
  }
  return end(RecordType::dictionary_change, begin, out);
}

std::optional<DictionaryHead> dictionary_head(const Record& record) {
  ByteReader reader(record.payload);
  DictionaryHead head;
  head.number = reader.varint();
  if (record.type == RecordType::dictionary) {
    const auto length = reader.varint();
    head.stream = reader.take(length);
    head.hash = reader.fixed<std::uint64_t>();
    if (length > kStreamNameMax) return std::nullopt;
  } else {
    head.hash = reader.fixed<std::uint64_t>();
    head.base = reader.fixed<std::uint32_t>();
  }
  head.rest = reader.rest();
  if (!reader.ok()) return std::nullopt;
  return head;
}

std::shared_ptr<const metrics::SeriesSet> read_dictionary(const DictionaryHead& head) {
  ByteReader reader(head.rest);
  const auto content_size = reader.varint();
  if (!reader.ok()) return nullptr;
  const auto content = read_block(reader.rest(), content_size);
  if (!content) return nullptr;

  auto set = std::make_shared<metrics::SeriesSet>();
  ByteReader rest(*content);
  std::string flat;
  std::size_t bytes = 0;
  while (!rest.rest().empty()) {
    auto series = read_series(rest, *set, flat);
    if (series == nullptr || set->size() == kSeriesMax) return nullptr;
    bytes += flat.size() + kSeriesBytesBesides;
    if (bytes > kContentBytesMax) return nullptr;
    set->push_back(std::move(series));
  }
  set->shrink_to_fit();
  return dictionary_hash(head.stream, *set) == head.hash ? set : nullptr;
}

std::shared_ptr<const metrics::SeriesSet> read_dictionary_change(const DictionaryHead& head,
                                                                 std::string_view stream,
                                                                 const metrics::SeriesSet& base,
                                                                 Layout& layout) {
  ByteReader reader(head.rest);
  auto runs = read_layout(reader, base.size());
  const auto content_size = reader.varint();
  if (!reader.ok() || !runs) return nullptr;
  const auto content = read_block(reader.rest(), content_size);
  if (!content) return nullptr;

  auto set = std::make_shared<metrics::SeriesSet>();
  ByteReader rest(*content);
  std::string flat;
  std::size_t bytes = 0;  // of the whole list: it too is to keep to the limit
  for (const auto& run : *runs) {
    for (std::size_t i = 0; i < run.count; ++i) {
      auto series = run.is_new ? read_series(rest, *set, flat) : base[run.first + i];
      if (series == nullptr) return nullptr;
      bytes += series->labels.flat().size() + kSeriesBytesBesides;
      if (bytes > kContentBytesMax) return nullptr;
      set->push_back(std::move(series));
    }
  }
  if (!rest.rest().empty()) return nullptr;
  set->shrink_to_fit();
  if (dictionary_hash(stream, *set) != head.hash) return nullptr;
  layout = std::move(*runs);
  return set;
}

}  // namespace msp::queue
