#include "agent/metrics/own_times.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "agent/base/text.h"

namespace msp::metrics {
namespace {

// A NaN that no sample has, for those of a target are all one: its low bits are the ticket's number.
constexpr std::uint64_t kTicketBits = 0x7ff4'0000'0000'0000;
constexpr std::uint64_t kNumberMask = UINT32_MAX;

}  // namespace

struct OwnTimes::Part {
  std::int64_t time_ms;
  std::size_t stream;  // 0: the source's own
  SeriesSet set = {};
  std::vector<double> values = {};
};

double OwnTimes::ticket(double value, std::optional<std::int64_t> time_ms) {
  tickets_.push_back({value, time_ms.value_or(kNone)});
  return std::bit_cast<double>(kTicketBits | (tickets_.size() - 1));
}

std::optional<OwnTimes::Ticket> OwnTimes::ticket_of(double value) const {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto number = bits & kNumberMask;
  if ((bits & ~kNumberMask) != kTicketBits || number >= tickets_.size()) return std::nullopt;
  return tickets_[number];
}

/// Takes what is known of the series over to another list of them, which mostly has the same order.
void OwnTimes::keep(const std::shared_ptr<const SeriesSet>& series) {
  if (series == series_) return;
  std::vector<Last> last(series->size(), {kNone, 0, 0});
  std::size_t at = 0;  // in the list before
  for (std::size_t i = 0; i < last.size(); ++i) {
    for (std::size_t tries = 0; tries < last_.size(); ++tries, ++at) {
      if (at >= last_.size()) at = 0;
      if ((*series_)[at] != (*series)[i]) continue;
      last[i] = last_[at++];
      break;
    }
  }
  last_ = std::move(last);
  series_ = series;
}

/// `stream` is the one in which the series was before: those that have one time stay together, so that
/// a stream has the same series from scrape to scrape.
OwnTimes::Part& OwnTimes::part_of(std::int64_t time_ms, std::size_t stream,
                                  std::vector<Part>& parts) {
  const auto is_taken = [&](std::size_t number) {
    return std::ranges::any_of(parts, [&](const Part& part) { return part.stream == number; });
  };
  for (auto& part : parts) {
    if (part.stream != 0 && part.time_ms == time_ms) return part;
  }
  if (stream == 0 || is_taken(stream)) {
    stream = 1;
    while (stream <= kStreamsMax && is_taken(stream)) ++stream;
    if (stream > kStreamsMax) stream = 1 + parts.size() % kStreamsMax;
  }
  return parts.emplace_back(time_ms, stream);
}

Scrape OwnTimes::scrape_of(Part&& part, const StreamPtr& stream) {
  auto own = stream;
  if (part.stream != 0) {
    own = std::make_shared<const Stream>(Stream{cat(stream ? stream->name : "", "#", part.stream)});
  }
  return {part.time_ms, std::make_shared<const SeriesSet>(std::move(part.set)),
          std::move(part.values), std::move(own)};
}

std::size_t OwnTimes::split(Scrape& scrape, std::vector<Scrape>& timed) {
  if (tickets_.empty() && last_.empty()) return 0;
  keep(scrape.series);
  std::size_t left_out = 0;
  std::vector<Part> parts;
  parts.emplace_back(scrape.timestamp_ms, 0);
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    auto value = scrape.values[i];
    const auto ticket = ticket_of(value);
    if (ticket) value = ticket->value;
    auto& last = last_[i];
    auto* part = &parts.front();
    if (!ticket || ticket->time_ms == kNone) {
      const bool had_time = std::exchange(last.time_ms, kNone) != kNone;
      if (had_time && is_stale_marker(value)) continue;
    } else {
      part = &part_of(ticket->time_ms, last.stream, parts);
      if (last.time_ms >= ticket->time_ms) {
        const bool is_same =
            last.time_ms == ticket->time_ms &&
            std::bit_cast<std::uint64_t>(last.value) == std::bit_cast<std::uint64_t>(value);
        if (!is_same) ++left_out;
        continue;
      }
      last = {ticket->time_ms, value, part->stream};
    }
    part->set.push_back((*series_)[i]);
    part->values.push_back(value);
  }
  const auto stream = scrape.stream;
  scrape = scrape_of(std::move(parts.front()), stream);
  for (auto part = parts.begin() + 1; part != parts.end(); ++part) {
    if (!part->set.empty()) timed.push_back(scrape_of(std::move(*part), stream));
  }
  return left_out;
}

}  // namespace msp::metrics
