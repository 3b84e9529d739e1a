// conntrack: how full the table of tracked connections is, from /proc/sys/net/netfilter, and what
// the tracking counts, from /proc/net/stat/nf_conntrack: a line of names and one per cpu,
// hexadecimal, of which the sums are sent:
//   entries  clashres found new invalid ignore delete chainlength insert insert_failed drop ...
//   0000002a  00000000 00000004 00000000 0000001f ...
// The names have changed from kernel to kernel, the places of the columns have not.
//
// Where the module nf_conntrack is not loaded there is nothing of all this; it can come at any time.
#include <array>
#include <iterator>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/number_file.h"
#include "collectors/optional_file.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kEntries{"node_nf_conntrack_entries",
                              "Number of currently allocated flow entries for connection tracking.",
                              "/proc/sys/net/netfilter/nf_conntrack_count"};
constexpr MetricDesc kLimit{"node_nf_conntrack_entries_limit",
                            "Maximum size of connection tracking table.",
                            "/proc/sys/net/netfilter/nf_conntrack_max"};

struct Column {
  std::size_t index;
  MetricDesc family;
};
constexpr Column column(std::size_t index, std::string_view name, std::string_view help) {
  return {index, {name, help, "/proc/net/stat/nf_conntrack"}};
}
constexpr Column kColumns[] = {
    column(2, "node_nf_conntrack_stat_found", "Number of searched entries which were successful."),
    column(4, "node_nf_conntrack_stat_invalid", "Number of packets seen which can not be tracked."),
    column(5, "node_nf_conntrack_stat_ignore",
           "Number of packets seen which are already connected to a conntrack entry."),
    column(8, "node_nf_conntrack_stat_insert", "Number of entries inserted into the list."),
    column(9, "node_nf_conntrack_stat_insert_failed",
           "Number of entries for which list insertion was attempted but failed."),
    column(10, "node_nf_conntrack_stat_drop",
           "Number of packets dropped due to conntrack failure."),
    column(11, "node_nf_conntrack_stat_early_drop",
           "Number of dropped conntrack entries to make room for new ones, if maximum table size "
           "was reached."),
    column(16, "node_nf_conntrack_stat_search_restart",
           "Number of conntrack table lookups which had to be restarted due to hashtable resizes."),
};
constexpr std::size_t kLeast = 16;  // before 2.6.35; search_restart is 0 there
using Line = CountersLine<17>;

class Conntrack : public Collector {
 public:
  explicit Conntrack(const CollectorContext& context)
      : entries_(context.paths.proc("sys/net/netfilter/nf_conntrack_count")),
        limit_(context.paths.proc("sys/net/netfilter/nf_conntrack_max")),
        stat_(context, context.paths.proc("net/stat/nf_conntrack")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const bool has_entries = add_number(entries_, kEntries, out);
    const bool has_limit = add_number(limit_, kLimit, out);
    if (const auto content = stat_.read(tick, out, "what it counts")) add_sums(*content, out);
    if (!has_entries && !has_limit && stat_.is_missing()) {
      return no_data(cat(entries_.path(), ": the module nf_conntrack is not loaded"));
    }
    return {};
  }

 private:
  void add_sums(std::string_view rest, SeriesWriter& out) const {
    const auto names = next_line(rest);
    if (!names || !names->starts_with("entries")) {
      out.complaints().garbled(stat_.path(), names.value_or(""), "a line of names", {"a line"});
    }
    std::array<std::uint64_t, std::size(kColumns)> sums{};
    std::bitset<std::size(kColumns)> is_garbled;  // then the sum is not known
    bool has_line = false;
    while (const auto text = next_line(rest)) {
      const Line line(*text, kGarbledLater, 16);
      if (line.found < kLeast || line.is_good.none()) {
        out.complaints().garbled(stat_.path(), *text, "16 hexadecimal numbers or more", {"a line"});
        continue;
      }
      has_line = true;
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const auto index = kColumns[i].index;
        if (index >= line.found) continue;
        if (line.is_good[index]) {
          sums[i] += line.values[index];
        } else {
          is_garbled.set(i);
          out.complaints().garbled(stat_.path(), word_at(*text, index), "a hexadecimal count",
                                   {kColumns[i].family.name});
        }
      }
    }
    if (!has_line) return;
    for (std::size_t i = 0; i < sums.size(); ++i) {
      if (!is_garbled[i]) out.add(kColumns[i].family, static_cast<double>(sums[i]));
    }
  }

  NumberFile entries_;
  NumberFile limit_;
  OptionalFile stat_;
};

}  // namespace

CollectorType conntrack_collector() {
  return {make_collector<Conntrack>};
}

}  // namespace msp::collectors
