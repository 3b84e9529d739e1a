#include "agent/relay/write_message.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "agent/base/text.h"
#include "agent/base/uninitialized.h"
#include "agent/queue/bytes.h"
#include "agent/queue/wire_reader.h"

namespace msp::relay {
namespace {

using Type = queue::WireReader::Type;

// prometheus.WriteRequest and what is in it.
constexpr std::uint32_t kTimeSeries = 1;
constexpr std::uint32_t kLabels = 1, kSamples = 2, kHistograms = 4;
constexpr std::uint32_t kName = 1, kValue = 2;
constexpr char kLabelTag = kLabels << 3 | static_cast<int>(Type::bytes);
constexpr std::uint32_t kTimestamp = 2;
// io.prometheus.write.v2.Request.
constexpr std::uint32_t kSymbols2 = 4, kTimeSeries2 = 5;
constexpr std::uint32_t kLabelsRefs2 = 1, kSamples2 = 2, kHistograms2 = 3;
// Of a native histogram, the same in both (prompb/types.proto, prompb/io/prometheus/write/v2).
constexpr std::uint32_t kHistogramTimestamp = 15;

constexpr std::size_t kShownBytesMax = 128;
// Of a message, or of what one needs: a sender with a few hundred series has no more.
constexpr std::size_t kKeptBytes = std::size_t{128} << 10;

char* put_tag(char* at, std::uint32_t field, Type type) {
  *at++ = static_cast<char>(field << 3 | static_cast<std::uint32_t>(type));
  return at;
}

char* put_varint(char* at, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(value | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}

char* put_bytes(char* at, std::uint32_t field, std::string_view bytes) {
  at = put_varint(put_tag(at, field, Type::bytes), bytes.size());
  return std::copy(bytes.begin(), bytes.end(), at);
}

/// Whether a label is a name and a value with lengths of one byte, as nearly all are; then these.
bool is_plain_label(std::string_view label, std::string_view& name, std::string_view& value) {
  const auto at = [&](std::size_t i) -> std::size_t {
    return i < label.size() ? static_cast<unsigned char>(label[i]) : 0xff;
  };
  const auto tag = [](std::uint32_t field) {
    return field << 3 | static_cast<std::uint32_t>(Type::bytes);
  };
  const auto size = at(1);
  const auto value_size = at(size + 3);
  if (at(0) != tag(kName) || at(size + 2) != tag(kValue) || label.size() >= 0x80 ||
      size + 4 + value_size != label.size()) {
    return false;
  }
  name = label.substr(2, size);
  value = label.substr(size + 4);
  return true;
}

/// What nearly all labels are, at a glance.
bool is_ascii(std::string_view text) {
  std::uint64_t bits = 0;
  const auto add_eight = [&](std::size_t at) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, text.data() + at, sizeof eight);
    bits |= eight;
  };
  if (text.size() < sizeof bits) {
    for (const char c : text) bits |= static_cast<unsigned char>(c);
  } else {
    for (std::size_t at = 0; at + sizeof bits <= text.size(); at += sizeof bits) add_eight(at);
    add_eight(text.size() - sizeof bits);
  }
  return (bits & 0x8080808080808080) == 0;
}

std::size_t varint_size(std::uint64_t value) {
  std::size_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

std::size_t bytes_size(std::string_view bytes) {
  return 1 + varint_size(bytes.size()) + bytes.size();
}

bool is_packed_varints(std::string_view bytes) {
  queue::ByteReader reader(bytes);
  while (reader.ok() && !reader.rest().empty()) reader.varint();
  return reader.ok();
}

/// Whether a field of a histogram has the type that receivers want there: one that has not would
/// make them refuse the request.
bool is_histogram_field(const queue::WireReader& field) {
  switch (field.field()) {
    case 1:   // count_int
    case 4:   // schema
    case 6:   // zero_count_int
    case 14:  // reset_hint
    case kHistogramTimestamp:
    case 17:  // start_timestamp, of 2.0
      return field.type() == Type::varint;
    case 2:  // count_float
    case 3:  // sum
    case 5:  // zero_threshold
    case 7:  // zero_count_float
      return field.type() == Type::fixed64;
    case 8:  // negative_spans
    case 11: {
      if (field.type() != Type::bytes) return false;
      queue::WireReader span(field.bytes());
      while (span.next()) {
        if (span.field() <= 2 && span.type() != Type::varint) return false;
      }
      return span.ok();
    }
    case 9:  // negative_deltas
    case 12:
      return field.type() == Type::varint ||
             (field.type() == Type::bytes && is_packed_varints(field.bytes()));
    case 10:  // negative_counts
    case 13:
    case 16:  // custom_values
      return field.type() == Type::fixed64 ||
             (field.type() == Type::bytes && field.bytes().size() % sizeof(double) == 0);
    default:
      return true;
  }
}

void add_time(SampleCounts& counts, std::uint64_t timestamp) {
  const auto timestamp_ms = static_cast<std::int64_t>(timestamp);
  counts.first_timestamp_ms = std::min(counts.first_timestamp_ms, timestamp_ms);
  counts.last_timestamp_ms = std::max(counts.last_timestamp_ms, timestamp_ms);
}

}  // namespace

void SampleCounts::add(const SampleCounts& other) {
  samples += other.samples;
  histograms += other.histograms;
  first_timestamp_ms = std::min(first_timestamp_ms, other.first_timestamp_ms);
  last_timestamp_ms = std::max(last_timestamp_ms, other.last_timestamp_ms);
}

std::expected<WriteOutcome, ContentError> WriteMessageReader::read(
    std::string_view message, WriteVersion version, std::span<const metrics::Label> enforced,
    const OnSeries& on_series) {
  enforced_ = enforced;
  auto reading = Reading::good;
  if (version == WriteVersion::v2 && !read_symbols(message)) {
    reading = symbols_.size() > kSymbolsMax ? Reading::too_large : Reading::damaged;
  }
  // A small message is read once and kept, a large one twice.
  const bool is_small = message.size() <= kKeptBytes;
  if (is_small) fields_.reserve(message.size());
  const OnSeries keep = [&](std::string_view field, const SampleCounts& counts) {
    kept_.push_back({field.size(), counts});
  };
  keeps_fields_ = is_small;
  if (reading == Reading::good) reading = read_all(message, version, is_small ? &keep : nullptr);
  if (reading == Reading::good && !is_small) read_all(message, version, &on_series);
  if (reading == Reading::good && is_small) {
    std::string_view rest = fields_;
    for (const auto& [size, counts] : kept_) {
      on_series(rest.substr(0, size), counts);
      rest.remove_prefix(size);
    }
  }
  release();
  const std::string_view wanted = version == WriteVersion::v1 ? "1.0" : "2.0";
  switch (reading) {
    case Reading::good:
      break;
    case Reading::damaged:
      return std::unexpected(
          ContentError{false, cat("this is no message of remote write ", wanted)});
    case Reading::of_other_version:
      return std::unexpected(
          ContentError{false, cat("this is no message of remote write ", wanted,
                                  ", which Content-Type says, but one of the other version")});
    case Reading::too_large:
      return std::unexpected(ContentError{
          true, "more series or symbols than are taken at once; send smaller requests"});
  }
  return std::move(outcome_);
}

/// What one large message needed is not kept for the next.
void WriteMessageReader::release() {
  if (symbols_.capacity() * sizeof symbols_[0] > kKeptBytes) symbols_ = {};
  if (points_.capacity() > kKeptBytes) points_ = {};
  if (fields_.capacity() > 2 * kKeptBytes) fields_ = {};
  fields_.clear();
  kept_.clear();
  symbols_.clear();
}

/// Without `on_series` it only looks whether all of the message can be taken.
WriteMessageReader::Reading WriteMessageReader::read_all(std::string_view message,
                                                         WriteVersion version,
                                                         const OnSeries* on_series) {
  const bool is_v1 = version == WriteVersion::v1;
  const auto series_field = is_v1 ? kTimeSeries : kTimeSeries2;
  outcome_ = {};
  bytes_out_ = 0;
  bytes_looked_at_ = 0;
  queue::WireReader reader(message);
  while (reader.next()) {
    // The numbers of the other version: it has nothing that this one would find.
    const bool is_of_other = is_v1 ? reader.field() == kSymbols2 || reader.field() == kTimeSeries2
                                   : reader.field() == kTimeSeries;
    if (is_of_other) return Reading::of_other_version;
    if (reader.field() != series_field) continue;
    if (reader.type() != Type::bytes) return Reading::damaged;
    labels_.clear();
    refs_.clear();
    points_.clear();
    counts_ = {};
    has_too_many_labels_ = false;
    const auto series = reader.bytes();
    if (!(is_v1 ? read_series_v1(series) : read_series_v2(series))) return Reading::damaged;
    finish_series(on_series);
    if (bytes_out_ > kBytesMax || bytes_looked_at_ > 4 * kBytesMax) return Reading::too_large;
  }
  return reader.ok() ? Reading::good : Reading::damaged;
}

// All of it inlined: most of a relay's time is spent here.
[[gnu::flatten]] bool WriteMessageReader::read_series_v1(std::string_view series) {
  queue::WireReader reader(series);
  while (reader.next()) {
    if (reader.field() > kHistograms) continue;
    if (reader.type() != Type::bytes) return false;
    bool is_good = true;
    switch (reader.field()) {
      case kLabels:
        is_good = add_label(reader.bytes());
        break;
      case kSamples:
        is_good = add_sample(reader.bytes(), kSamples);
        break;
      case kHistograms:
        is_good = add_histogram(reader.bytes());
        break;
      default:  // exemplars: not passed on
        break;
    }
    if (!is_good) return false;
  }
  return reader.ok();
}

bool WriteMessageReader::read_series_v2(std::string_view series) {
  queue::WireReader reader(series);
  while (reader.next()) {
    if (reader.is(kLabelsRefs2, Type::varint)) {
      add_reference(reader.number());
    } else if (reader.is(kLabelsRefs2, Type::bytes)) {
      if (!is_packed_varints(reader.bytes())) return false;
      queue::ByteReader packed(reader.bytes());
      while (!packed.rest().empty()) add_reference(packed.varint());
    } else if (reader.is(kSamples2, Type::bytes)) {
      if (!add_sample(reader.bytes(), kSamples)) return false;
    } else if (reader.is(kHistograms2, Type::bytes)) {
      if (!add_histogram(reader.bytes())) return false;
    } else if (reader.field() <= kHistograms2) {
      return false;
    }
  }
  return reader.ok();
}

/// They may stand behind the series that refer to them.
bool WriteMessageReader::read_symbols(std::string_view message) {
  queue::WireReader reader(message);
  while (reader.next()) {
    if (reader.field() != kSymbols2) continue;
    if (reader.type() != Type::bytes) return false;
    symbols_.push_back(reader.bytes());
    if (symbols_.size() > kSymbolsMax) return false;
  }
  return reader.ok();
}

/// Of a field that is there twice the last one counts, as for every parser of protobuf.
bool WriteMessageReader::add_label(std::string_view label) {
  View view;
  queue::WireReader reader(label);
  if (is_plain_label(label, view.name, view.value)) {
    // With its tag and its length, where each has one byte.
    const auto* const begin = label.data() - 2;
    if (begin[0] == kLabelTag && begin[1] == static_cast<char>(label.size())) {
      view.plain = {begin, label.size() + 2};
    }
  } else {
    while (reader.next()) {
      if (reader.field() > kValue) continue;
      if (reader.type() != Type::bytes) return false;
      (reader.field() == kName ? view.name : view.value) = reader.bytes();
    }
  }
  has_too_many_labels_ = has_too_many_labels_ || labels_.size() == kLabelsMax;
  if (!has_too_many_labels_) labels_.push_back(view);
  return reader.ok();
}

void WriteMessageReader::add_reference(std::uint64_t reference) {
  has_too_many_labels_ = has_too_many_labels_ || refs_.size() == 2 * kLabelsMax;
  if (!has_too_many_labels_) refs_.push_back(reference);
}

bool WriteMessageReader::add_sample(std::string_view sample, std::uint32_t field) {
  std::uint64_t value = 0;
  std::uint64_t timestamp = 0;
  queue::WireReader reader(sample);
  while (reader.next()) {
    if (reader.is(1, Type::fixed64)) {
      value = reader.number();
    } else if (reader.is(kTimestamp, Type::varint)) {
      timestamp = reader.number();
    } else if (reader.field() <= kTimestamp) {
      return false;
    }
  }
  if (!reader.ok()) return false;
  // A number of 0 is what its field's absence means.
  const auto size = (value != 0 ? 1 + sizeof value : 0) +
                    (timestamp != 0 ? 1 + varint_size(timestamp) : std::size_t{0});
  char bytes[32];
  auto* at = put_varint(put_tag(bytes, field, Type::bytes), size);
  if (value != 0) {
    at = put_tag(at, 1, Type::fixed64);
    std::memcpy(at, &value, sizeof value);
    at += sizeof value;
  }
  if (timestamp != 0) at = put_varint(put_tag(at, kTimestamp, Type::varint), timestamp);
  points_.append(bytes, at);
  ++counts_.samples;
  add_time(counts_, timestamp);
  return true;
}

bool WriteMessageReader::add_histogram(std::string_view histogram) {
  std::uint64_t timestamp = 0;
  queue::WireReader reader(histogram);
  while (reader.next()) {
    if (!is_histogram_field(reader)) return false;
    if (reader.field() == kHistogramTimestamp) timestamp = reader.number();
  }
  if (!reader.ok()) return false;
  char head[16];
  points_.append(head, put_varint(put_tag(head, kHistograms, Type::bytes), histogram.size()));
  points_ += histogram;
  ++counts_.histograms;
  add_time(counts_, timestamp);
  return true;
}

std::size_t WriteMessageReader::labels_size() const {
  std::size_t size = 0;
  for (const auto& label : labels_) {
    const auto inner = bytes_size(label.name) + bytes_size(label.value);
    size += label.plain.empty() ? 1 + varint_size(inner) + inner : label.plain.size();
  }
  return size;
}

/// What is wrong with the labels of the series, which are sorted afterwards; empty: nothing.
std::string_view WriteMessageReader::problem_of_labels() {
  if (has_too_many_labels_) return "too many labels";
  if (refs_.size() % 2 != 0) return "a label without a value";
  for (std::size_t i = 0; i < refs_.size(); i += 2) {
    if (refs_[i] >= symbols_.size() || refs_[i + 1] >= symbols_.size()) {
      return "a label that refers to no symbol";
    }
    labels_.push_back({symbols_[refs_[i]], symbols_[refs_[i + 1]], {}});
  }
  std::erase_if(labels_, [&](const View& label) {
    return label.value.empty() ||
           std::ranges::find(enforced_, label.name, &metrics::Label::name) != enforced_.end();
  });
  for (const auto& label : enforced_) {
    if (!label.value.empty()) labels_.push_back({label.name, label.value, {}});
  }
  labels_bytes_ = labels_size();
  if (labels_bytes_ > kLabelBytesMax) return "labels that are too long";
  bytes_looked_at_ += labels_bytes_;
  // Nearly always they are sorted, but for the enforced ones.
  for (std::size_t i = 1; i < labels_.size(); ++i) {
    for (auto j = i; j > 0 && !(labels_[j - 1].name < labels_[j].name); --j) {
      if (labels_[j].name == labels_[j - 1].name) return "a label twice";
      std::swap(labels_[j], labels_[j - 1]);
    }
  }
  bool has_name = false;
  for (const auto& label : labels_) {
    has_name = has_name || label.name == metrics::kMetricName;
    // Since Prometheus 3 a name may have any letters.
    if (label.name.empty()) return "a label without a name";
    if (!label.plain.empty() && is_ascii(label.plain)) continue;
    if (!is_ascii(label.name) && !is_utf8(label.name)) return "a label's name that is not UTF-8";
    if (!is_ascii(label.value) && !is_utf8(label.value)) return "a value that is not UTF-8";
  }
  return has_name ? std::string_view() : "no name";
}

void WriteMessageReader::skip_series(std::string_view problem) {
  ++outcome_.skipped_series;
  outcome_.skipped_samples += counts_.all();
  if (!outcome_.first_skipped.empty()) return;
  std::string series;
  for (const auto& label : labels_) {
    if (series.size() > kShownBytesMax) break;
    series += cat(series.empty() ? "" : ",", label.name.substr(0, kShownBytesMax), "=",
                  label.value.substr(0, kShownBytesMax));
  }
  outcome_.first_skipped = cat(problem, ": ", quoted(series, kShownBytesMax));
}

void WriteMessageReader::finish_series(const OnSeries* on_series) {
  if (counts_.all() == 0) return;
  if (const auto problem = problem_of_labels(); !problem.empty()) return skip_series(problem);
  const auto size = labels_bytes_ + points_.size();
  bytes_out_ += 1 + varint_size(size) + size;
  if (on_series == nullptr) return;
  outcome_.taken.add(counts_);
  const auto whole = 1 + varint_size(size) + size;
  const auto begin = keeps_fields_ ? fields_.size() : 0;
  resize_uninitialized(fields_, begin + whole);
  auto* const field = fields_.data() + begin;
  auto* at = put_varint(put_tag(field, kTimeSeries, Type::bytes), size);
  std::string_view run;  // of labels that are one after the other in the message
  for (const auto& label : labels_) {
    if (!label.plain.empty() && label.plain.data() == run.data() + run.size()) {
      run = {run.data(), run.size() + label.plain.size()};
      continue;
    }
    at = std::copy(run.begin(), run.end(), at);
    run = label.plain;
    if (!run.empty()) continue;
    at = put_varint(put_tag(at, kLabels, Type::bytes),
                    bytes_size(label.name) + bytes_size(label.value));
    at = put_bytes(put_bytes(at, kName, label.name), kValue, label.value);
  }
  at = std::copy(run.begin(), run.end(), at);
  std::copy(points_.begin(), points_.end(), at);
  (*on_series)({field, whole}, counts_);
}

}  // namespace msp::relay
