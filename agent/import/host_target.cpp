#include "agent/import/host_target.h"

#include <algorithm>
#include <iterator>

#include "agent/base/text.h"
#include "agent/config/validators.h"
#include "agent/import/notes.h"

namespace msp::import {
namespace {

constexpr std::string_view kPort = "9100";

/// "node-exporter", "prometheus_node_exporter_1": as people call its container or its job.
bool has_its_name(std::string_view name) {
  std::string letters = lower_case(name);
  std::erase_if(letters, [](char c) { return c == '-' || c == '_' || c == '.'; });
  return letters.find("nodeexporter") != letters.npos;
}

/// The one of `candidates` that `fits`; nothing where there is none or more than one.
template <typename Fits>
std::optional<std::size_t> only_one(const std::vector<TargetCandidate>& candidates,
                                    const Fits& fits) {
  std::optional<std::size_t> found;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!fits(candidates[i])) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found;
}

}  // namespace

TargetAddress target_address(std::string_view text) {
  TargetAddress address{"", "80"};
  if (const auto scheme = text.find("://"); scheme != text.npos) {
    if (lower_case(text.substr(0, scheme)) == "https") address.port = "443";
    text.remove_prefix(scheme + 3);
  }
  text = text.substr(0, text.find_first_of("/?#"));
  if (const auto user = text.rfind('@'); user != text.npos) text.remove_prefix(user + 1);
  const auto bracket = text.starts_with('[') ? text.find(']') : text.npos;
  const auto colon = bracket == text.npos ? text.rfind(':') : text.find(':', bracket);
  auto host = text.substr(0, colon);
  if (bracket != text.npos) host = text.substr(1, bracket - 1);
  address.host = lower_case(host);
  if (colon != text.npos) address.port = text.substr(colon + 1);
  return address;
}

std::string without_login(std::string_view address) {
  const auto scheme = address.find("://");
  const auto begin = scheme == address.npos ? 0 : scheme + 3;
  const auto end = std::min(address.find_first_of("/?#", begin), address.size());
  const auto at = address.substr(0, end).rfind('@');
  if (at == address.npos || at < begin) return std::string(address.substr(0, end));
  return cat(address.substr(0, begin), address.substr(at + 1, end - at - 1));
}

bool is_this_host(const TargetAddress& address) {
  constexpr std::string_view kNames[] = {
      "localhost", "localhost.localdomain", "ip6-localhost", "::1", "::", "0:0:0:0:0:0:0:1",
      "0.0.0.0",   "host.docker.internal",  "${hostname}"};
  return address.host.starts_with("127.") ||
         std::find(std::begin(kNames), std::end(kNames), address.host) != std::end(kNames);
}

std::optional<ChosenTarget> choose_node_exporter(const std::vector<TargetCandidate>& candidates) {
  const auto is_here = [](const TargetCandidate& candidate) {
    return is_this_host(target_address(candidate.address));
  };
  const auto is_on_its_port = [](const TargetCandidate& candidate) {
    return target_address(candidate.address).port == kPort;
  };
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (is_here(candidates[i]) && is_on_its_port(candidates[i])) return ChosenTarget{i, true};
  }
  const auto by_job = only_one(candidates, [&](const TargetCandidate& candidate) {
    return is_here(candidate) && (candidate.job == "node" || has_its_name(candidate.job));
  });
  if (by_job) return ChosenTarget{*by_job, false};
  const auto by_name = only_one(candidates, [](const TargetCandidate& candidate) {
    return has_its_name(target_address(candidate.address).host);
  });
  if (by_name) return ChosenTarget{*by_name, false};
  if (const auto by_port = only_one(candidates, is_on_its_port)) {
    return ChosenTarget{*by_port, false};
  }
  return std::nullopt;
}

std::string taken_for_node_exporter(std::string_view address) {
  return cat("the target ", quoted(without_login(address)),
             " is taken for this host's node_exporter");
}

bool is_node_exporter(std::string_view address) {
  const auto parsed = target_address(address);
  return is_this_host(parsed) && parsed.port == kPort;
}

bool is_process_exporter(std::string_view address) {
  const auto parsed = target_address(address);
  return is_this_host(parsed) && parsed.port == "9256";
}

std::string collected_once(std::string_view address) {
  return cat(quoted(without_login(address)),
             " is this host's node_exporter as well; msp-agent collects once");
}

}  // namespace msp::import
