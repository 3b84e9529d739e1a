// What a probe says to a server and what it waits for, step by step, as the query_response of
// blackbox_exporter: lines that come, lines that are sent, and TLS from a step on (STARTTLS).
//
// A server that never stops talking costs bounded memory and time: kLineBytesMax of a line are kept,
// and after kBytesMax in all it is given up.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/regex.h"
#include "agent/http/options.h"
#include "agent/http/socket_task.h"
#include "agent/http/tls/client.h"
#include "agent/metrics/labels.h"

namespace msp::sources {

class TcpDialog final : public http::SocketTask {
 public:
  struct Step {
    std::optional<PartRegex> expect;     // lines are read until one matches
    std::string send;                    // with $1 of that line; empty: nothing
    bool starts_tls = false;             // afterwards
    std::vector<metrics::Label> labels;  // of probe_expect_info; values with $1
  };
  struct Setup {
    std::vector<Step> steps;
    http::TlsOptions tls;
    std::string host;         // that a certificate must be of
    bool begins_tls = false;  // before the first step
  };

  explicit TcpDialog(std::shared_ptr<const Setup> setup) : setup_(std::move(setup)) {}

  Result<void> begin(const http::SocketAddress& to) override;
  bool step() override;
  int fd() const override { return socket_.get(); }
  bool waits_to_write() const override;

  // After it is over, for which ever reason.

  /// Why it has not come to its end; empty where it has, or its time was over.
  const std::string& problem() const { return problem_; }
  bool is_done() const { return is_done_; }
  /// The server closed the connection, and no line had matched.
  bool failed_by_regex() const { return failed_by_regex_; }
  /// Of the TLS that was begun; null: none was.
  const http::Handshake* handshake() const { return session_ ? &tls_->handshake() : nullptr; }
  /// The labels of each step that has some, with what its line had for them.
  const std::vector<std::vector<metrics::Label>>& found() const { return found_; }

  static constexpr std::size_t kLineBytesMax = 64 * 1024;
  static constexpr std::size_t kBytesMax = 1024 * 1024;

 private:
  enum class State { connects, shakes_hands, expects, sends };

  bool connects();
  bool shakes_hands();
  bool expects();
  bool sends();
  void begin_step();
  void end_step();
  void begin_tls();
  bool take_line(std::string_view line);
  bool fill();
  bool fail(std::string problem);

  const std::shared_ptr<const Setup> setup_;
  std::unique_ptr<http::TlsClient> tls_;
  Fd socket_;
  http::SocketAddress to_;
  std::unique_ptr<http::TlsSession> session_;  // goes before the two
  State state_ = State::connects;
  std::size_t at_ = 0;    // the step
  std::string received_;  // of the server's, beginning with a line
  std::size_t bytes_ = 0;
  bool is_closed_ = false;
  std::string to_send_;
  bool is_done_ = false;
  bool failed_by_regex_ = false;
  std::string problem_;
  std::vector<std::vector<metrics::Label>> found_;
};

}  // namespace msp::sources
