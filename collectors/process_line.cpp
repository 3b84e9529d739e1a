#include "collectors/process_line.h"

#include "agent/base/text.h"
#include "collectors/counters_line.h"

namespace msp::collectors {

std::optional<ProcessLine> parse_process_line(std::string_view line, unsigned pid) {
  const auto begin = line.find('('), end = line.rfind(") ");
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'z'; };
  const bool is_line = begin < end && end + 4 < line.size() &&
                       parse_number<unsigned>(trim(line.substr(0, begin))) == pid &&
                       is_letter(line[end + 2]) && line[end + 3] == ' ';
  if (!is_line) return std::nullopt;
  // Behind the state: parent, flags, faults, times, threads, start, sizes.
  constexpr std::size_t kParent = 0, kFlags = 5, kMinor = 6, kMajor = 8, kUser = 10, kSystem = 11,
                        kThreads = 16, kStart = 18, kVirtual = 19, kResident = 20;
  const CountersLine<kResident + 1> columns(line.substr(end + 3), kGarbledLater);
  for (const auto at :
       {kParent, kMinor, kMajor, kUser, kSystem, kThreads, kStart, kVirtual, kResident}) {
    if (at >= columns.found || !columns.is_good[at]) return std::nullopt;
  }
  const auto& values = columns.values;
  constexpr std::uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD
  return ProcessLine{
      .comm = line.substr(begin + 1, end - begin - 1),
      .state = line[end + 2],
      .parent = values[kParent],
      .is_of_kernel = columns.is_good[kFlags] && (values[kFlags] & kKernelThread) != 0,
      .minor = values[kMinor],
      .major = values[kMajor],
      .user = values[kUser],
      .system = values[kSystem],
      .threads = values[kThreads],
      .start = values[kStart],
      .virtual_bytes = values[kVirtual],
      .resident_pages = values[kResident]};
}

}  // namespace msp::collectors
