#include "agent/queue/dictionary.h"

#include <zstd.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <vector>

#include "agent/queue/bytes.h"
#include "agent/queue/format.h"

namespace msp {
namespace {

constexpr int kLevel = 1;
constexpr std::size_t kPrefixSeries = 64;  // of base, on either side of the first new series

struct ContextDeleter {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};
using Compressor = std::unique_ptr<ZSTD_CCtx, ContextDeleter>;
using Decompressor = std::unique_ptr<ZSTD_DCtx, ContextDeleter>;

/// A piece of the layout of a changed dictionary.
struct Run {
  bool is_new = false;
  std::size_t first = 0;  // in base, if not new
  std::size_t count = 0;
};

std::string length_prefix(const Series& series) {
  std::string length;
  append_varint(length, series.labels.flat().size());
  return length;
}

void append_content(const Series& series, std::string& content) {
  append_varint(content, series.labels.flat().size());
  content.append(series.labels.flat());
}

std::string content_of(const SeriesSet& set) {
  std::string content;
  for (const auto& series : set) append_content(*series, content);
  return content;
}

/// Both sides know where the first new series stands, so they agree on what is near it.
std::string prefix_near(const SeriesSet& base, std::size_t place) {
  const auto begin = place - std::min(place, kPrefixSeries);
  const auto end = std::min(place + kPrefixSeries, base.size());
  std::string prefix;
  for (auto i = begin; i < end; ++i) append_content(*base[i], prefix);
  return prefix;
}

std::size_t place_of_new(const std::vector<Run>& runs) {
  std::size_t place = 0;
  for (const auto& run : runs) {
    if (run.is_new) break;
    place = run.first + run.count;
  }
  return place;
}

/// Appends `content` compressed, or as it is where that is shorter or suspiciously much longer.
bool append_block(const std::string& content, const std::string& prefix, std::string& out) {
  const Compressor context(ZSTD_createCCtx());
  if (context == nullptr) return false;
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
  ZSTD_CCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  const auto begin = out.size();
  const auto bound = ZSTD_compressBound(content.size());
  out.resize(begin + bound);
  const auto size =
      ZSTD_compress2(context.get(), &out[begin], bound, content.data(), content.size());
  if (!ZSTD_isError(size) && size < content.size() && size * kExpansionMax >= content.size()) {
    out.resize(begin + size);
  } else {
    out.replace(begin, std::string::npos, content);
  }
  return true;
}

std::optional<std::string> read_block(std::string_view block, std::uint64_t content_size,
                                      const std::string& prefix) {
  if (content_size == block.size()) return std::string(block);
  if (content_size > kContentBytesMax || content_size > block.size() * kExpansionMax) {
    return std::nullopt;
  }
  const Decompressor context(ZSTD_createDCtx());
  if (context == nullptr) return std::nullopt;
  ZSTD_DCtx_refPrefix(context.get(), prefix.data(), prefix.size());
  std::string content(content_size, '\0');
  const auto size = ZSTD_decompressDCtx(context.get(), content.data(), content.size(), block.data(),
                                        block.size());
  if (ZSTD_isError(size) || size != content_size) return std::nullopt;
  return content;
}

/// The next series of a content.
SeriesPtr read_series(ByteReader& content) {
  const auto length = content.varint();
  const auto flat = content.take(length);
  auto series = std::make_shared<Series>();
  if (!content.ok() || !series->labels.assign_flat(flat)) return nullptr;
  return series;
}

/// The layout of `set` in terms of `base`. Most series stand behind the one they stood behind
/// before; only the others are looked up.
std::vector<Run> layout_of(const SeriesSet& set, const SeriesSet& base) {
  std::vector<Run> runs;
  std::unordered_map<std::string_view, std::size_t> index_of_labels;
  std::size_t expected = 0;
  for (const auto& series : set) {
    auto index = expected;
    if (index >= base.size() || (base[index] != series && base[index]->labels != series->labels)) {
      if (index_of_labels.empty()) {
        for (std::size_t i = 0; i < base.size(); ++i) {
          index_of_labels.emplace(base[i]->labels.flat(), i);
        }
      }
      const auto found = index_of_labels.find(series->labels.flat());
      index = found != index_of_labels.end() ? found->second : base.size();
    }
    const bool is_new = index >= base.size();
    const bool goes_on = !runs.empty() && runs.back().is_new == is_new &&
                         (is_new || runs.back().first + runs.back().count == index);
    if (!goes_on) runs.push_back({is_new, is_new ? 0 : index, 0});
    ++runs.back().count;
    if (!is_new) expected = index + 1;
  }
  return runs;
}

std::optional<std::vector<Run>> read_runs(ByteReader& reader, std::size_t base_size) {
  const auto count = reader.varint();
  std::vector<Run> runs;
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
    runs.push_back(run);
  }
  if (!reader.ok()) return std::nullopt;
  return runs;
}

}  // namespace

std::uint64_t dictionary_hash(const SeriesSet& set) {
  ContentHash hash;
  for (const auto& series : set) {
    hash.add(length_prefix(*series));
    hash.add(series->labels.flat());
  }
  return hash.value();
}

bool append_dictionary(const SeriesSet& set, std::uint64_t hash, std::string& out) {
  std::size_t content_size = 0;
  for (const auto& series : set) content_size += series->labels.flat().size() + 3;
  if (set.size() > kSeriesMax || content_size > kContentBytesMax) return false;

  const auto begin = begin_record(out);
  const auto content = content_of(set);
  append_fixed(out, hash);
  append_varint(out, content.size());
  if (!append_block(content, {}, out) || out.size() - begin - kRecordHeaderSize > kPayloadMax) {
    out.resize(begin);
    return false;
  }
  end_record(out, begin, RecordType::dictionary);
  return true;
}

bool append_dictionary_change(const SeriesSet& base, std::uint64_t base_hash, const SeriesSet& set,
                              std::uint64_t hash, std::string& out) {
  const auto runs = layout_of(set, base);
  std::string content;
  std::string layout;
  std::size_t at = 0;
  std::size_t expected = 0;
  std::size_t new_series = 0;
  for (const auto& run : runs) {
    append_varint(layout, run.count * 2 + (run.is_new ? 1 : 0));
    if (run.is_new) {
      for (auto i = at; i < at + run.count; ++i) append_content(*set[i], content);
      new_series += run.count;
    } else {
      append_varint(layout, fold_sign(run.first - expected));
      expected = run.first + run.count;
    }
    at += run.count;
  }
  if (new_series > set.size() / 2 || content.size() > kContentBytesMax) return false;

  const auto begin = begin_record(out);
  append_fixed(out, hash);
  append_fixed(out, base_hash);
  append_varint(out, content.size());
  append_varint(out, runs.size());
  out.append(layout);
  const auto prefix = new_series == 0 ? std::string() : prefix_near(base, place_of_new(runs));
  if ((!content.empty() && !append_block(content, prefix, out)) ||
      out.size() - begin - kRecordHeaderSize > kPayloadMax) {
    out.resize(begin);
    return false;
  }
  end_record(out, begin, RecordType::dictionary_change);
  return true;
}

std::shared_ptr<const SeriesSet> read_dictionary(std::string_view payload) {
  ByteReader reader(payload);
  const auto hash = reader.fixed<std::uint64_t>();
  const auto content_size = reader.varint();
  if (!reader.ok()) return nullptr;
  const auto content = read_block(reader.rest(), content_size, {});
  if (!content) return nullptr;

  auto set = std::make_shared<SeriesSet>();
  ByteReader rest(*content);
  while (!rest.rest().empty()) {
    auto series = read_series(rest);
    if (series == nullptr || set->size() == kSeriesMax) return nullptr;
    set->push_back(std::move(series));
  }
  set->shrink_to_fit();
  return dictionary_hash(*set) == hash ? set : nullptr;
}

std::shared_ptr<const SeriesSet> read_dictionary_change(std::string_view payload,
                                                        const SeriesSet& base) {
  ByteReader reader(payload);
  const auto hash = reader.fixed<std::uint64_t>();
  reader.fixed<std::uint64_t>();  // base
  const auto content_size = reader.varint();
  const auto runs = read_runs(reader, base.size());
  if (!reader.ok() || !runs) return nullptr;
  const auto content =
      read_block(reader.rest(), content_size,
                 reader.rest().empty() ? std::string() : prefix_near(base, place_of_new(*runs)));
  if (!content) return nullptr;

  auto set = std::make_shared<SeriesSet>();
  ByteReader rest(*content);
  std::size_t content_bytes = 0;  // of the whole list: it too is to keep to the limit
  for (const auto& run : *runs) {
    for (std::size_t i = 0; i < run.count; ++i) {
      auto series = run.is_new ? read_series(rest) : base[run.first + i];
      if (series == nullptr) return nullptr;
      content_bytes += series->labels.flat().size();
      if (content_bytes > kContentBytesMax) return nullptr;
      set->push_back(std::move(series));
    }
  }
  if (!rest.rest().empty()) return nullptr;
  set->shrink_to_fit();
  return dictionary_hash(*set) == hash ? set : nullptr;
}

}  // namespace msp
