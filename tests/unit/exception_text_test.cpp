#include "agent/base/exception_text.h"

#include <catch2/catch.hpp>
#include <new>
#include <stdexcept>
#include <system_error>

namespace msp {

TEST_CASE("too many threads: what happened and what to do") {
  const auto text = exception_text(
      std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again)));
  CHECK(text.starts_with("cannot start a thread: Resource temporarily unavailable; "));
  CHECK(text.find("TasksMax=") != std::string::npos);
  CHECK(text.find("ulimit -u") != std::string::npos);
}

TEST_CASE("out of memory is told apart from an error of the agent's own") {
  CHECK(exception_text(std::bad_alloc()).starts_with("out of memory; "));
  CHECK(exception_text(std::runtime_error("odd\n")) == "internal error: odd\\n");
}

}  // namespace msp
