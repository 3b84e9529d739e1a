#include "collectors/process_line.h"

#include "agent/base/text.h"
#include "collectors/counters_line.h"

namespace msp::collectors {

std::optional<ProcessParts> split_process_line(std::string_view line, unsigned pid) {
  const auto begin = line.find('('), end = line.rfind(") ");
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'z'; };
  const bool is_line = begin < end && end + 4 < line.size() &&
                       parse_number<unsigned>(trim(line.substr(0, begin))) == pid &&
                       is_letter(line[end + 2]) && line[end + 3] == ' ';
  if (!is_line) return std::nullopt;
  return ProcessParts{line.substr(begin + 1, end - begin - 1), line[end + 2], line.substr(end + 3)};
}

std::optional<ProcessLine> parse_process_line(std::string_view line, unsigned pid) {
  const auto parts = split_process_line(line, pid);
  if (!parts) return std::nullopt;
  constexpr std::size_t kParent = ProcessParts::kParent, kFlags = 5, kMinor = 6, kMajor = 8,
                        kUser = 10, kSystem = 11, kThreads = 16, kStart = ProcessParts::kStart,
                        kVirtual = 19, kResident = 20;
  const CountersLine<kResident + 1> columns(parts->columns, kGarbledLater);
  for (const auto at :
       {kParent, kMinor, kMajor, kUser, kSystem, kThreads, kStart, kVirtual, kResident}) {
    if (at >= columns.found || !columns.is_good[at]) return std::nullopt;
  }
  const auto& values = columns.values;
  constexpr std::uint64_t kKernelThread = 0x00200000;  // PF_KTHREAD
  return ProcessLine{
      .comm = parts->comm,
      .state = parts->state,
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

std::optional<double> boot_seconds(KeptFile& stat, std::uint64_t tick, const MetricDesc& metric,
                                   SeriesWriter& out) {
  const auto content = stat.read(tick);
  if (!content) {
    out.complaints().unreadable(stat.path(), content.error(), {metric.name});
    return std::nullopt;
  }
  std::string_view word;
  for (auto rest = *content; auto line = next_line(rest);) {
    if (next_word(*line) == "btime") word = trim(*line);
  }
  const auto seconds = parse_number<std::uint64_t>(word);
  if (seconds) return static_cast<double>(*seconds);
  out.complaints().garbled(stat.path(), word, "a time", {metric.name});
  return std::nullopt;
}

}  // namespace msp::collectors
