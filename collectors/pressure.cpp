// pressure: for how long tasks have waited for cpu, memory or I/O, from /proc/pressure
// (Documentation/accounting/psi.rst), in microseconds since the boot:
//   some avg10=0.16 avg60=0.61 avg300=1.50 total=15074690
//   full avg10=0.00 avg60=0.07 avg300=1.18 total=12975900
// A kernel before 4.20 has no such folder, one without psi=1 on its command line may refuse to open
// the files, and one before 6.1, or that does not account interrupts, has no irq.
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

struct Share {
  std::string_view file;
  std::string_view line;  // what it begins with
  MetricDesc family;
};

#define MSP_PRESSURE(file, line, name, help)                                                    \
  {                                                                                             \
    file, line " ", {                                                                           \
      "node_pressure_" name "_seconds_total", help, "/proc/pressure/" file, MetricType::counter \
    }                                                                                           \
  }
constexpr Share kShares[] = {
    MSP_PRESSURE("cpu", "some", "cpu_waiting",
                 "Total time in seconds that processes have waited for CPU time"),
    MSP_PRESSURE("io", "some", "io_waiting",
                 "Total time in seconds that processes have waited due to IO congestion"),
    MSP_PRESSURE("io", "full", "io_stalled",
                 "Total time in seconds no process could make progress due to IO congestion"),
    MSP_PRESSURE("memory", "some", "memory_waiting",
                 "Total time in seconds that processes have waited for memory"),
    MSP_PRESSURE("memory", "full", "memory_stalled",
                 "Total time in seconds no process could make progress due to memory congestion"),
    MSP_PRESSURE("irq", "full", "irq_stalled",
                 "Total time in seconds no process could make progress due to IRQ congestion"),
};
#undef MSP_PRESSURE

/// "15074690" of the line; empty where it has no total.
std::string_view total_in(std::string_view line) {
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
    if (word.starts_with("total=")) return word.substr(6);
  }
  return {};
}

class Pressure : public Collector {
 public:
  explicit Pressure(const CollectorContext& context) {
    for (const auto& share : kShares) {
      if (!files_.empty() && files_.back().name == share.file) continue;
      files_.push_back(
          {share.file,
           {context, context.paths.proc(cat("pressure/", share.file)), KeptFile::End::short_read}});
    }
  }

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    bool is_missing = true;
    for (auto& [name, file] : files_) {
      const auto content = file.read(tick, out, "what it counts");
      is_missing = is_missing && file.is_missing();
      if (content) add_shares(name, file.path(), *content, out);
    }
    if (out.samples() > 0) return {};
    if (is_missing) return no_data("/proc/pressure: the kernel has none, or needs psi=1");
    for (const auto& [name, file] : files_) {
      if (!file.failure().empty()) return failed(file.failure());
    }
    return failed(cat(files_.front().file.path(), ": no total"));
  }

 private:
  struct File {
    std::string_view name;
    OptionalFile file;
  };

  static void add_shares(std::string_view name, const std::string& path, std::string_view content,
                         SeriesWriter& out) {
    for (const auto& share : kShares) {
      if (share.file != name) continue;
      std::optional<std::string_view> line;
      for (auto rest = content; (line = next_line(rest)) && !line->starts_with(share.line);) {
      }
      const auto word = line ? total_in(*line) : std::string_view{};
      if (const auto us = parse_number<std::uint64_t>(word)) {
        // In two steps, as node_exporter does it: the last digit is the same.
        out.add(share.family, static_cast<double>(*us) / 1000 / 1000);
      } else {
        out.complaints().garbled(path, word, "a total in microseconds", {share.family.name});
      }
    }
  }

  std::vector<File> files_;
};

}  // namespace

CollectorType pressure_collector() {
  return {make_collector<Pressure>};
}

}  // namespace msp::collectors
