// One question to a name server, over UDP or TCP (RFC 1035, section 4.2), and the wait for its answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/base/file.h"
#include "agent/http/socket_task.h"
#include "agent/sources/probe/dns_message.h"

namespace msp::sources {

class DnsQuery final : public http::SocketTask {
 public:
  DnsQuery(DnsQuestion question, bool uses_tcp)
      : question_(std::move(question)), uses_tcp_(uses_tcp) {}

  Result<void> begin(const http::SocketAddress& to) override;
  bool step() override;
  int fd() const override { return socket_.get(); }
  bool waits_to_write() const override { return to_send_ > 0; }

  // After it is over, for which ever reason.

  const std::optional<DnsAnswer>& answer() const { return answer_; }
  /// From the begin of it until it had a connection; nothing where it has none.
  std::optional<std::int64_t> connected_ns() const { return connected_ns_; }
  /// Why there is no answer; empty where none has come.
  const std::string& problem() const { return problem_; }

 private:
  bool send_rest();
  bool receive_datagrams();
  bool receive_stream();
  void take(std::string message);
  bool fail(std::string_view what, int error);

  const DnsQuestion question_;
  const bool uses_tcp_;
  Fd socket_;
  std::string request_;      // over TCP behind its length
  std::size_t to_send_ = 0;  // bytes of it, from its end
  std::string received_;     // over TCP
  std::int64_t begun_ns_ = 0;
  std::optional<std::int64_t> connected_ns_;
  std::optional<DnsAnswer> answer_;
  std::string problem_;
};

}  // namespace msp::sources
