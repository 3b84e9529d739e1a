// interrupts: how often each cpu has served each interrupt, from /proc/interrupts (proc(5)):
//              CPU0       CPU1
//    24:          1          0  IO-APIC   5-edge      ACPI:Ged
//   LOC:     901233     881022   Local timer interrupts
//   ERR:          0
// A cpu is the place of its column, as node_exporter has it. What is not counted per cpu (ERR, MIS)
// is left out. A large machine has tens of thousands of these series: off by default.
#include <algorithm>
#include <string>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/label_text.h"
#include "collectors/number_labels.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kInterrupts{"node_interrupts_total", "Interrupt details.", "/proc/interrupts",
                                 MetricType::counter, "cpu,type,info,devices"};

/// The words with one space between each two.
std::string joined(std::string_view words) {
  std::string text;
  for (auto word = next_word(words); !word.empty(); word = next_word(words)) {
    text += cat(text.empty() ? "" : " ", word);
  }
  return text;
}

/// The number of its words is that of the columns; one of them may be garbled.
bool is_line_of_cpus(std::string_view line) {
  for (auto word = next_word(line); !word.empty(); word = next_word(line)) {
    if (word.starts_with("CPU")) return true;
  }
  return false;
}

class Interrupts : public Collector {
 public:
  explicit Interrupts(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("interrupts"))) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    const auto cpus = next_line(rest);
    if (!cpus || !is_line_of_cpus(*cpus)) {
      return failed(cat(file_->path(), ": expected a line of CPUs", got(*content)));
    }
    const auto columns = words_in(*cpus);
    lines_.begin_tick();
    while (const auto line = next_line(rest)) {
      const auto colon = line->find(':');
      const auto name = trim(line->substr(0, colon));
      const auto counts = colon == line->npos ? std::string_view{} : line->substr(colon + 1);
      const auto text = behind_counts(counts, columns);
      if (colon == line->npos || name.empty() || has_control(name) || has_control(text)) {
        out.complaints().garbled(file_->path(), *line, "'interrupt: counts'", {"a line"});
      } else if (!text.empty()) {
        add_line(name, counts, text, columns, out);
      }
    }
    lines_.end_tick();
    return {};
  }

 private:
  struct Line {
    std::string name;
    std::string text = {};  // what stands behind the counts; the two below are made of it
    std::string info = {};
    std::string devices = {};

    static Line make(std::string_view name) { return {std::string(name)}; }

    void learn(std::string_view now) {
      if (now == text && !info.empty()) return;
      text = now;
      devices.clear();
      if (parse_number<std::uint64_t>(name)) {
        info = next_word(now);
        devices = joined(now);
      } else {
        info = joined(now);
      }
    }
  };

  static std::string_view behind_counts(std::string_view text, std::size_t columns) {
    for (std::size_t i = 0; i < columns; ++i) next_word(text);
    return trim(text);
  }

  void add_line(std::string_view name, std::string_view counts, std::string_view text,
                std::size_t columns, SeriesWriter& out) {
    auto* const line = lines_.next(name, Line::make);
    if (line == nullptr) {
      out.complaints().repeated(file_->path(), name);
      return;
    }
    line->learn(text);
    for (std::size_t cpu = 0; cpu < columns; ++cpu) {
      const auto word = next_word(counts);
      if (const auto count = parse_number<std::uint64_t>(word)) {
        out.add(kInterrupts, {labels_.of(cpu), line->name, line->info, line->devices},
                static_cast<double>(*count));
      } else {
        out.complaints().garbled(file_->path(), word, "a count",
                                 {kInterrupts.name, {"cpu", labels_.of(cpu), " ", name}});
      }
    }
  }

  std::shared_ptr<KeptFile> file_;
  DeviceList<Line> lines_;
  NumberLabels labels_;
};

}  // namespace

CollectorType interrupts_collector() {
  return {make_collector<Interrupts>};
}

}  // namespace msp::collectors
