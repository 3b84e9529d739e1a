// The last words of a process that ends because of an exception.
#pragma once

#include <exception>
#include <string>

namespace msp {

/// What happened and, where somebody can do something about it, what to do.
std::string exception_text(const std::exception& error);

}  // namespace msp
