// A batch on its way to one endpoint: what of it is still to be sent, and what was refused.
//
// It goes as a whole, but for the series that were refused the last time: those go alone, so that
// one that is refused at every tick costs a few requests each time and not twenty. What is refused
// is halved, breadth first, until the bad rows stand alone, and a row of several samples further,
// in time order, until the bad samples do; a relay's requests are halved in their order. Nothing is
// given up on the word of a server that refuses everything for a while: a sample counts as refused
// when it was refused alone, then the server took something, then it was refused again, and the
// server took something again. Until then it is a doubt, for which the owner may have to send a
// probe. A conflict needs less: that the server took something, before it or after it.
//
// Knows no network, no clock and no log.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <vector>

#include "agent/queue/batch.h"

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
  void row_too_large() { refused(front().rows_begin + 1); }

  /// Whether a probe must tell now if the server takes anything at all.
  bool wants_probe() const;
  void probe_accepted();
  /// Then everything that was refused is sent again.
  void probe_refused();

  /// How often something was refused while nothing was accepted.
  std::size_t fruitless_tries() const { return accepted_any_ ? 0 : refusals_; }
  /// What is left counts as refused: it would go the way of all that was tried.
  void refuse_rest();

  bool accepted_any() const { return accepted_any_; }
  std::size_t refused_samples() const { return refused_samples_; }
  /// The first series that was refused: node_load1{customer_id="alpha"}.
  const std::string& refused_series() const { return refused_series_; }

 private:
  /// Whole rows, or of one row the points [points_begin, points_end).
  struct Piece {
    std::size_t rows_begin;
    std::size_t rows_end;
    std::size_t points_begin = 0;
    std::size_t points_end = 0;   // 0: all
    bool refused_before = false;  // and then the server took something
  };

  static constexpr std::size_t kSuspectsMax = 8;

  void queue_all();
  bool is_suspect(std::size_t row);
  void suspect(const Piece& piece);
  void clear_suspects(const Piece& piece);
  Piece take(std::size_t rows_end);
  void halve(const Piece& piece);
  std::size_t points_of(const Piece& piece);
  void doubt(const Piece& piece);
  void name_refused(const Piece& piece);
  void on_evidence();

  queue::Batch batch_;
  queue::Batch points_;  // the front's, where it is a part of a row
  std::deque<Piece> queue_;
  std::vector<Piece> doubtful_;     // refused since the server took something
  std::vector<Piece> conflicting_;  // while it has taken nothing
  bool accepted_any_ = false;
  bool halved_ = false;
  bool server_takes_something_ = false;
  std::size_t refusals_ = 0;
  std::size_t refused_samples_ = 0;
  std::string refused_series_;
  std::vector<std::size_t> suspects_;  // hashes of the labels of series that were refused last
};

}  // namespace msp::delivery
