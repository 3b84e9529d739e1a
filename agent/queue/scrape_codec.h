// Scrapes to records and back (format.h). Neither side touches a file; each is for one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/result.h"
#include "agent/metrics/sample.h"
#include "agent/queue/format.h"
#include "agent/queue/value_codec.h"

namespace msp {

/// Holds 24 bytes per series beside the last scrape's SeriesSet, which it shares.
class ScrapeEncoder {
 public:
  /// Appends the records of one scrape, the scrape's own last. An error says which limit of the
  /// format it is over; then `out` is as it was, and the next scrape starts anew.
  Result<void> encode(std::uint64_t sequence, const Scrape& scrape, std::string& out);

  /// What was written so far is not before what comes next: the next scrape is written with a full
  /// dictionary and as a keyframe. To be called for a new segment, and when what encode() appended
  /// did not reach the file.
  void restart();

  /// Every scrape stands alone behind its dictionary: any scrape but the newest can go without
  /// harm to the others. Costs about three times the bytes.
  void set_keyframes_only(bool keyframes_only) { keyframes_only_ = keyframes_only; }

 private:
  bool is_same_set(const Scrape& scrape) const;
  bool keyframe_is_due(std::uint64_t sequence, std::int64_t timestamp_ms) const;
  bool append_dictionaries(const Scrape& scrape, bool is_same, std::string& out);
  void append_scrape(std::uint64_t sequence, const Scrape& scrape, bool is_keyframe,
                     std::string& out);

  std::shared_ptr<const SeriesSet> series_;  // of the last scrape
  std::uint64_t hash_ = 0;                   // of series_
  std::vector<SeriesState> states_;
  bool has_dictionary_ = false;  // series_ is in what was written since the last restart
  bool has_chain_ = false;       // so is the scrape that a delta would follow
  bool keyframes_only_ = false;
  std::uint64_t sequence_ = 0;
  std::int64_t timestamp_ms_ = 0;
  std::uint64_t interval_ms_ = 0;  // modulo 2^64, as all differences here
  std::uint32_t checksum_ = 0;
  unsigned since_keyframe_ = 0;
  std::size_t bytes_since_dictionary_ = 0;
  std::size_t dictionary_bytes_ = 0;
};

/// Holds what the next record may need: the state of each series and the last few dictionaries.
class ScrapeDecoder {
 public:
  enum class Outcome {
    scrape,         // there it is
    none,           // taken, but not a scrape: a dictionary or a summary
    no_dictionary,  // damage took the dictionary that this record needs
    broken_chain,   // a delta, and what is held is not the scrape before it
    malformed,      // the checksum is good, the content is not what the format says
    unknown_type,
  };

  struct Decoded {
    std::uint64_t sequence = 0;
    std::shared_ptr<const Scrape> scrape;
  };

  static constexpr std::size_t kDictionariesKept = 4;

  /// Takes the next record. A record given twice may yield its scrape twice; what is not the
  /// original bit for bit is never yielded. With `decoded` null a scrape is followed but not made,
  /// to get past scrapes that are not wanted.
  Outcome feed(const Record& record, Decoded* decoded);

  /// Gives all memory back.
  void clear() { *this = ScrapeDecoder(); }

 private:
  struct Dictionary {
    std::uint64_t hash = 0;
    std::shared_ptr<const SeriesSet> series;
  };

  Outcome take_dictionary(const Record& record);
  Outcome take_keyframe(const Record& record, Decoded* decoded);
  Outcome take_delta(const Record& record, Decoded* decoded);
  Outcome finish(const Record& record, std::uint64_t sequence, std::int64_t timestamp_ms,
                 bool values_are_good, Decoded* decoded);
  std::shared_ptr<const SeriesSet> find(std::uint64_t hash);

  std::vector<Dictionary> dictionaries_;  // last used last
  std::shared_ptr<const SeriesSet> series_;
  std::vector<SeriesState> states_;
  std::vector<double> values_;
  bool has_chain_ = false;
  std::uint64_t sequence_ = 0;
  std::int64_t timestamp_ms_ = 0;
  std::uint64_t interval_ms_ = 0;
  std::uint32_t checksum_ = 0;
};

}  // namespace msp
