// The pages about the configuration, made from the table of keys (agent/config/schema.h) and the
// defaults of the code. tests/unit/configuration_page_test.cpp compares them with those of the tree.
#pragma once

#include <string>

namespace msp::test {

/// packaging/man/msp-agent.yaml.5
std::string manual_page();

/// docs/configuration.md
std::string markdown_page();

/// etc/msp-agent.yaml
std::string commented_yaml();

}  // namespace msp::test
