// etc/msp-agent.yaml, and the same with its two blanks filled in.
#pragma once

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace msp::test {

inline std::string shipped_config() {
  std::ifstream in(MSP_AGENT_YAML);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::string filled_in(std::string yaml) {
  const auto replace = [&](std::string_view what, std::string_view by) {
    const auto at = yaml.find(what);
    REQUIRE(at != std::string::npos);
    yaml.replace(at, what.size(), by);
  };
  replace("customer_id: \"\"", "customer_id: alpha");
  replace("url: \"\"", "url: http://h/w");
  return yaml;
}

}  // namespace msp::test
