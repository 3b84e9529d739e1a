// Scrapes and requests to records and back (FORMAT.md). Neither side touches a file; each is for one
// thread.
//
// Each stream has a chain of its own: its dictionary, its predictors, its keyframes. Sequences
// number the entries of all streams together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/base/result.h"
#include "agent/metrics/sample.h"
#include "agent/queue/compression.h"
#include "agent/queue/dictionary.h"
#include "agent/queue/format.h"
#include "agent/queue/request.h"
#include "agent/queue/value_codec.h"

namespace msp::queue {

/// Holds 24 bytes per series beside the last scrape's SeriesSet of each live stream, which it
/// shares. A stream that others pushed out (kStreamsMax, kLiveBytesMax) begins anew: that costs a
/// dictionary and a keyframe, no sample.
class ScrapeEncoder {
 public:
  explicit ScrapeEncoder(Compress compress = compress_block);
  ~ScrapeEncoder();
  ScrapeEncoder(ScrapeEncoder&&) noexcept;
  ScrapeEncoder& operator=(ScrapeEncoder&&) noexcept;

  /// Appends the records of one scrape, the scrape's own last. `sequence` is higher than all
  /// before, of whatever stream. An error says which limit of the format it is over, or that there
  /// was no memory (is_out_of_memory()); then `out` is as it was, and the next scrape of its stream
  /// stands alone.
  Result<void> encode(std::uint64_t sequence, const metrics::Scrape& scrape, std::string& out);

  /// Appends the record of a request, or of several that were joined: `first_sequence` to
  /// `last_sequence`. It depends on no other record.
  Result<void> encode(std::uint64_t first_sequence, std::uint64_t last_sequence,
                      const Request& request, std::string& out);

  /// Appends the dictionary of each live stream in full, as after a restart: what comes next needs
  /// nothing that is before.
  Result<void> encode_dictionaries(std::string& out);

  /// The last error was for want of memory: the same again may succeed.
  bool is_out_of_memory() const { return out_of_memory_; }

  /// What was written so far is not before what comes next: the next scrape of each stream is
  /// written with a full dictionary and as a keyframe. To be called for a new segment, and when
  /// what encode() appended did not reach the file.
  void restart();

  /// Every scrape stands alone behind its dictionary: any scrape but the newest can go without
  /// harm to the others. Costs about three times the bytes.
  void set_keyframes_only(bool keyframes_only) { keyframes_only_ = keyframes_only; }

 private:
  struct Chain;

  Appended append_dictionaries(Chain& chain, const metrics::Scrape& scrape, bool& is_keyframe,
                               std::string& out);
  Appended append_dictionary_of(Chain& chain, std::string& out);

  Compress compress_;
  std::vector<std::unique_ptr<Chain>> chains_;  // last used last
  std::uint64_t streams_ = 0;                   // numbers given away since the last restart
  bool keyframes_only_ = false;
  bool out_of_memory_ = false;
};

/// Holds what the next record may need: for each live stream the dictionary and the state of each
/// series, within the limits that the encoder keeps to.
class ScrapeDecoder {
 public:
  enum class Outcome {
    scrape,         // there it is
    request,        // there it is
    none,           // taken, but neither: a dictionary or a summary
    no_dictionary,  // damage took the dictionary that this record needs
    broken_chain,   // a delta, and what is held is not the scrape before it
    malformed,      // the checksum is good, the content is not what the format says
    unknown_type,
  };

  /// One of the two pointers is set.
  struct Decoded {
    std::uint64_t first_sequence = 0;
    std::uint64_t last_sequence = 0;  // the first, unless requests were joined
    std::shared_ptr<const metrics::Scrape> scrape;
    RequestPtr request;
  };

  ScrapeDecoder();
  ~ScrapeDecoder();
  ScrapeDecoder(ScrapeDecoder&&) noexcept;
  ScrapeDecoder& operator=(ScrapeDecoder&&) noexcept;

  /// Takes the next record. A record given twice may yield its entry twice; what is not the
  /// original bit for bit is never yielded. With `decoded` null a scrape is followed but not made,
  /// to get past scrapes that are not wanted. Segments may follow one another in one decoder.
  Outcome feed(const Record& record, Decoded* decoded);

  /// Gives all memory back.
  void clear() { *this = ScrapeDecoder(); }

 private:
  struct Chain;

  Outcome take_dictionary(const Record& record);
  Outcome take_change(const Record& record);
  Outcome take_keyframe(const Record& record, Decoded* decoded);
  Outcome take_delta(const Record& record, Decoded* decoded);
  Outcome take_request(const Record& record, Decoded* decoded);
  Outcome finish(const Record& record, Chain& chain, std::uint64_t sequence, bool values_are_good,
                 Decoded* decoded);
  void bind(Chain& chain, std::uint64_t number);
  Chain* use_number(std::uint64_t number);

  std::vector<std::unique_ptr<Chain>> chains_;  // last used last
  std::vector<double> values_;                  // of the last scrape
  metrics::StreamPtr last_stream_;              // of the last request
};

}  // namespace msp::queue
