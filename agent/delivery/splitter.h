// A batch on its way to one endpoint: what of it is still to be sent, and what was refused.
//
// It goes as a whole, but for the series that were refused the last time: those go alone, so that
// one that is refused at every tick costs a few requests each time and not twenty. What is refused
// is halved, breadth first, until the bad rows stand alone, and a row of several samples further,
// in time order, until the bad samples do. What a relay received is halved by series, too, depth
// first: by the hash of their labels, so that all samples of a series stay in one half and in their
// order, whichever half goes first. Where the rows that one request carried have been refused
// kRefusalsMax times, what is refused of them is not halved any more: several series may go with a bad
// one then.
//
// Nothing is given up on the word of a server that refuses everything for a while: a sample counts
// as refused when it was refused alone, then the server took something, then it was refused again,
// and the server took something again. Until then it is a doubt, for which the owner may have to
// send a probe. A conflict needs less: that the server took something, before it or after it.
//
// Knows no network, no clock and no log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "agent/queue/batch.h"
#include "agent/queue/request_series.h"

namespace msp::delivery {

class Splitter {
 public:
  /// What is sent next: rows [rows_begin, rows_end) of a batch. Valid until the next call.
  struct Front {
    queue::Batch& batch;
    std::size_t rows_begin;
    std::size_t rows_end;
  };

  /// Fill it, then start(). Untouched otherwise.
  queue::Batch& batch() { return batch_; }
  void start();
  /// Forgets everything but the suspects and gives the memory back.
  void release();

  static constexpr std::size_t kRefusalsMax = 256;

  /// Nothing is left to send or to doubt: it may be acknowledged.
  bool done() const { return queue_.empty() && doubtful_.empty() && conflicting_.empty(); }
  /// Some of it was accepted or is known to be refused: it should not be begun anew.
  bool in_progress() const { return !done() && (accepted_any_ || halved_); }
  bool is_whole() const { return !accepted_any_ && !halved_; }

  /// While there is something to send.
  Front front();

  // The answer to the front's rows up to `rows_end`.
  void accepted(std::size_t rows_end);
  void refused(std::size_t rows_end);
  /// Dropped as soon as the server takes anything: it has other samples in that place.
  void conflicted(std::size_t rows_end);
  /// The front's rows are too large for one request, although they are one row.
  void row_too_large();

  /// Whether a probe must tell now if the server takes anything at all.
  bool wants_probe() const;
  void probe_accepted();
  /// Then everything that was refused is sent again.
  void probe_refused();

  /// How often something was refused while nothing was accepted.
  std::size_t fruitless_tries() const { return accepted_any_ ? 0 : refusals_; }
  /// It has nothing but what a relay received.
  bool is_relayed() { return batch_.rows().front().request != nullptr; }
  /// What is left counts as refused: it would go the way of all that was tried.
  void refuse_rest();

  bool accepted_any() const { return accepted_any_; }
  std::size_t refused_samples() const { return refused_samples_; }
  /// The first series that was refused: node_load1{customer_id="alpha"}.
  const std::string& refused_series() const { return refused_series_; }

 private:
  /// Whole rows, or a part of them: of one row the points [points_begin, points_end); of rows that
  /// are requests some series, and of one series these of the places that it has in them.
  struct Piece {
    std::size_t rows_begin;
    std::size_t rows_end;
    std::size_t points_begin = 0;
    std::size_t points_end = 0;     // 0: all
    bool refused_before = false;    // and then the server took something
    bool without_suspects = false;  // they are pieces of their own
    std::size_t hash = 0;           // of the labels of a request's series, as far as
    std::size_t mask = 0;           // these bits go; all bits: one series

    bool is_part() const { return points_end != 0 || without_suspects || mask != 0; }
  };
  static constexpr std::size_t kSuspectsMax = 8;

  void queue_all();
  bool is_suspect(std::size_t hash) const;
  void suspect(const Piece& piece);
  void clear_suspects(const Piece& piece);
  std::size_t size_of(const Piece& piece);
  std::uint64_t look_into(const Piece& piece);
  std::size_t hash_of(const Piece& piece);
  std::string text_of(const Piece& piece);
  bool has_requests(const Piece& piece);
  Piece take(std::size_t rows_end);
  void put_first(const Piece& piece);
  void put_last(const Piece& piece);
  void put_behind_others(const Piece& piece);
  void divide(const Piece& piece, bool is_too_much);
  bool halve(const Piece& piece);
  bool halve_requests(Piece piece);
  bool halve_points(Piece piece, std::size_t points);
  std::size_t points_of(const Piece& piece);
  void doubt(const Piece& piece);
  void name_refused(const Piece& piece);
  void on_evidence();

  queue::Batch batch_;
  queue::Batch points_;                       // the front's, where it is a part
  std::string content_;                       // of what was looked into last, and
  std::vector<queue::RequestSeries> series_;  // what the piece has of it
  std::vector<Piece> queue_;                  // the next one is the last
  std::vector<Piece> doubtful_;               // refused since the server took something
  std::vector<Piece> conflicting_;            // while it has taken nothing
  bool accepted_any_ = false;
  bool halved_ = false;
  bool server_takes_something_ = false;
  std::size_t refusals_ = 0;
  std::pair<std::size_t, std::size_t> refused_rows_;  // of the last refusal; how many in a row
  std::size_t refusals_of_rows_ = 0;                  // were of these
  std::size_t refused_samples_ = 0;
  std::string refused_series_;
  std::vector<std::size_t> suspects_;   // hashes of the labels of series that were refused last
  std::vector<std::size_t> set_aside_;  // those of them that are pieces of this batch
};

}  // namespace msp::delivery
