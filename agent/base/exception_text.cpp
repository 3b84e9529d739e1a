#include "agent/base/exception_text.h"

#include <new>
#include <system_error>

#include "agent/base/text.h"

namespace msp {

std::string exception_text(const std::exception& error) {
  const auto* const of_system = dynamic_cast<const std::system_error*>(&error);
  // What std::thread throws.
  if (of_system != nullptr && of_system->code() == std::errc::resource_unavailable_try_again) {
    return cat(
        "cannot start a thread: ", errno_text(of_system->code().value()),
        "; there are as many threads as the unit or the user may have: raise TasksMax= of the "
        "unit (systemctl edit msp-agent) or the limit of `ulimit -u`, or configure fewer "
        "endpoints: each has a thread");
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return "out of memory; raise MemoryMax= of the unit (systemctl edit msp-agent), or leave out "
           "devices and mount points";
  }
  return cat("internal error: ", visible(error.what()));
}

}  // namespace msp
