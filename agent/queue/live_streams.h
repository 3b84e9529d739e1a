// Which streams an encoder or a decoder holds: a list of chains, the last used last.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "agent/queue/format.h"

namespace msp::queue {

/// Lets go of the streams that were not used for longest, until the others are within the limits.
/// The reader does the same with what it has read of the same records, so that it holds what the
/// writer takes for granted.
template <typename ChainPtr>
void keep_to_limits(std::vector<ChainPtr>& chains) {
  std::size_t bytes = 0;
  for (const auto& chain : chains) bytes += chain->label_bytes;
  auto keep = chains.begin();
  for (auto left = chains.size(); left > 1 && (left > kStreamsMax || bytes > kLiveBytesMax);
       --left, ++keep) {
    bytes -= (*keep)->label_bytes;
  }
  chains.erase(chains.begin(), keep);
}

/// Moves the chain that `is_wanted` to the end; null where there is none.
template <typename ChainPtr, typename IsWanted>
auto use(std::vector<ChainPtr>& chains, IsWanted is_wanted) -> decltype(chains.front().get()) {
  for (auto at = chains.end(); at != chains.begin();) {
    if (!is_wanted(**--at)) continue;
    std::rotate(at, at + 1, chains.end());
    return chains.back().get();
  }
  return nullptr;
}

}  // namespace msp::queue
