// The threads behind the buffer: one that sends for each endpoint, and the one that keeps on disk
// what cannot be sent. Endpoints come, change and go while the agent runs.
//
// Main thread only. No call here waits for a network, and none but stop() for a disk.
#pragma once

#include <list>
#include <string>
#include <thread>
#include <vector>

#include "agent/config/config.h"
#include "agent/delivery/stats.h"
#include "agent/queue/queue.h"

namespace msp {

class Delivery {
 public:
  /// All references outlive it.
  Delivery(Buffer& buffer, AgentStats& stats);
  ~Delivery();

  /// Delivers to these, known by their names. One that is the same is not touched. One that has
  /// changed goes on at its place with a new connection. One that is gone gets nothing new; what is
  /// kept for it is delivered, and then it ends.
  void set_endpoints(const std::vector<EndpointConfig>& endpoints);

  /// Lets go of those that are gone and have got everything.
  void reap();

  /// Sends what is left, keeps what cannot be sent. False where the disk hangs: then its thread
  /// still runs.
  bool stop();

 private:
  class Worker;

  Buffer& buffer_;
  AgentStats& stats_;
  std::list<Worker> workers_;
  std::thread disk_;
};

}  // namespace msp
