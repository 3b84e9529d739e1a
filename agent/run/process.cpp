#include "agent/run/process.h"

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::run {

// 1234 (msp-agent) S 1 1234 1234 0 -1 4194560 ... : the second field may hold spaces and brackets;
// the state is the third, the start the 22nd.
Result<ProcessStat> read_process(pid_t pid) {
  const auto path = cat("/proc/", pid, "/stat");
  const auto content = read_file(path, 4096);
  if (!content) return content.error();
  const auto name_end = content->rfind(')');
  auto rest = name_end == std::string::npos ? std::string_view{}
                                            : std::string_view(*content).substr(name_end + 1);
  const auto state = next_word(rest);
  for (int field = 4; field < 22; ++field) next_word(rest);
  const auto start = parse_number<std::uint64_t>(next_word(rest));
  if (state.empty() || !start) return failed(cat(path, ": expected a state and a start time"));
  return ProcessStat{state.front(), *start};
}

}  // namespace msp::run
