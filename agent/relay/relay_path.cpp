#include "agent/relay/relay_path.h"

#include <algorithm>
#include <random>

#include "agent/base/text.h"

namespace msp::relay {
namespace {

constexpr std::size_t kIdBytes = 16;

bool is_id(std::string_view id) {
  return id.size() == kIdBytes && std::ranges::all_of(id, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

std::string RelayPath::random_id() {
  std::random_device random;
  std::string id;
  for (std::size_t i = 0; i < kIdBytes; ++i) id += "0123456789abcdef"[random() % 16];
  return id;
}

bool RelayPath::note(std::string_view header, std::int64_t now_ns) {
  const std::lock_guard lock(mutex_);
  bool is_new = true;
  while (!header.empty()) {
    const auto id = trim(header.substr(0, header.find(',')));
    header.remove_prefix(std::min(header.size(), header.find(',')));
    header.remove_prefix(std::min<std::size_t>(header.size(), 1));
    if (!is_id(id)) continue;
    if (id == id_) {
      is_new = false;
    } else if (const auto known = seen_.find(id); known != seen_.end()) {
      known->second = now_ns;
    } else if (seen_.size() < kIdsMax) {
      seen_.emplace(id, now_ns);
    }
  }
  std::erase_if(seen_, [&](const auto& one) { return now_ns - one.second > kRememberedNs; });
  return is_new;
}

std::string RelayPath::header_line(std::int64_t now_ns) const {
  const std::lock_guard lock(mutex_);
  auto line = cat("X-Msp-Agent-Via: ", id_);
  for (const auto& [id, at_ns] : seen_) {
    if (now_ns - at_ns <= kRememberedNs) line += cat(",", id);
  }
  return line;
}

}  // namespace msp::relay
