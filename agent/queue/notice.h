// What the queue has to tell people. The queue writes no log: whoever opens it is given these, once
// per change of state, and decides where they go.
#pragma once

#include <functional>
#include <string>

namespace msp::queue {

struct Notice {
  enum class Severity { information, warning };
  Severity severity = Severity::warning;
  std::string text;
};

/// Called from any thread, with no lock of the queue held.
using NoticeSink = std::function<void(Notice)>;

}  // namespace msp::queue
