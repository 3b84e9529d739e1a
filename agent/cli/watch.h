// A text that is drawn again and again on a terminal, until a key ends it.
#pragma once

#include <functional>
#include <string>

namespace msp::cli {

/// Shows what `draw` gives, every 2 s, until q, Ctrl-C or a signal that ends a program; then the
/// terminal is as it was. stdin and stdout are a terminal.
void watch(const std::function<std::string()>& draw);

}  // namespace msp::cli
