// The blocks of an Alloy configuration as settings: what can be known without running Alloy is
// known (texts, +, env(), files that local.file reads), everything else says what it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/import/alloy_syntax.h"
#include "agent/import/setting.h"

namespace msp::import {

struct AlloyComponent {
  std::string id;    // prometheus.remote_write.central; without the label where there is none
  std::string kind;  // prometheus.remote_write
  Setting body;      // a mapping; a block inside is an entry of its own each time it stands there

  Place at() const { return body.at; }
};

struct AlloySource {
  std::string_view file;
  const AlloyBlock* root;
};

/// The blocks of all files, in their order. An attribute outside of every block is a component of
/// the kind "".
std::vector<AlloyComponent> alloy_components(const std::vector<AlloySource>& sources);

}  // namespace msp::import
