// The agent's own samples: msp_agent_*.
#pragma once

#include <string>

#include "agent/buffer/buffer.h"
#include "agent/core/file.h"
#include "agent/core/scrape.h"
#include "agent/self/stats.h"

namespace msp {

/// Main thread only. Both references outlive it; endpoints have the same numbers in both.
class SelfMetrics {
 public:
  SelfMetrics(const AgentStats& stats, const Buffer& buffer) : stats_(stats), buffer_(buffer) {}

  void add_to(SampleWriter& out);

 private:
  const AgentStats& stats_;
  const Buffer& buffer_;
  KeptFile statm_{"/proc/self/statm",
                  KeptFile::End::short_read};  // this very process, whatever --path.procfs is
};

}  // namespace msp
