// What makes the requests of an endpoint over HTTP, as the agent does it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/stop_token.h"
#include "agent/delivery/client.h"
#include "agent/http/client.h"

namespace msp::test {

/// A request that is under way ends with the deadline of a stop. `endpoint` outlives the result.
inline RemoteWriteClient::Post connect(const EndpointConfig& endpoint, const StopToken& stop) {
  struct Connection {
    Connection(const EndpointConfig& to, const StopToken& token)
        : client(to, give_up_at_ns),
          on_stop(token, [this, token] { give_up_at_ns = token.deadline_ns(); }) {}

    std::atomic<std::int64_t> give_up_at_ns = 0;
    HttpClient client;
    StopCallback on_stop;
  };
  const auto connection = std::make_shared<Connection>(endpoint, stop);
  return [connection](std::string_view body, const std::vector<std::string>& headers) {
    return connection->client.post(body, headers);
  };
}

}  // namespace msp::test
