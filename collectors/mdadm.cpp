// mdadm: the arrays of Linux software RAID and what they do, from /proc/mdstat
// (Documentation/admin-guide/md.rst), where each has a line and others that are indented:
//   md0 : active raid1 sdb1[1] sda1[0](F)
//         523968 blocks super 1.2 [2/1] [_U]
//         [=>...................]  recovery =  8.5% (44536/523968) finish=0.2min speed=22268K/sec
//         bitmap: 0/8 pages [0KB], 65536KB chunk
// and what /sys/block/mdN/md says of their disks.
//
// As node_exporter has it, an array that is resynced, checked or rebuilt is not "active" meanwhile,
// and one that is reshaped is in none of the states.
#include <algorithm>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/device_list.h"
#include "collectors/label_text.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

#define MSP_MD(name, help, labels) \
  { "node_md_" name, help, "/proc/mdstat", MetricType::gauge, labels }
constexpr MetricDesc kState MSP_MD("state", "Indicates the state of md-device.", "device,state");
constexpr MetricDesc kDisks MSP_MD("disks", "Number of active/failed/spare disks of device.",
                                   "device,state");
constexpr MetricDesc kDisksRequired MSP_MD("disks_required", "Total number of disks of device.",
                                           "device");
constexpr MetricDesc kBlocks MSP_MD("blocks", "Total number of blocks on device.", "device");
constexpr MetricDesc kBlocksSynced MSP_MD("blocks_synced", "Number of blocks synced on device.",
                                          "device");
#undef MSP_MD
constexpr MetricDesc kRaidDisks{"node_md_raid_disks", "Number of raid disks on device.",
                                "/sys/block/DEVICE/md/raid_disks, /sys/block/DEVICE/md/level",
                                MetricType::gauge, "device"};
constexpr MetricDesc kDegraded{"node_md_degraded", "Number of degraded disks on device.",
                               "/sys/block/DEVICE/md/degraded, /sys/block/DEVICE/md/level",
                               MetricType::gauge, "device"};

// The states, and the words that stand for those of a line of progress.
constexpr std::string_view kStates[] = {"active", "inactive", "recovering", "resync", "check"};
constexpr std::pair<std::string_view, std::string_view> kActions[] = {
    {"recovery", "recovering"}, {"reshape", "reshaping"}, {"check", "check"}, {"resync", "resync"}};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != text.npos;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// "2/1" of "... [2/1] [_U]", "44536/523968" of "... (44536/523968) ...": nothing for what is garbled.
struct Ratio {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> second;
};
Ratio find_ratio(std::string_view text, char open, char close) {
  for (auto slash = text.find('/'); slash != text.npos; slash = text.find('/', slash + 1)) {
    const auto begin = text.rfind(open, slash);
    const auto end = text.find(close, slash);
    if (begin == text.npos || end == text.npos) continue;
    return {parse_number<std::uint64_t>(text.substr(begin + 1, slash - begin - 1)),
            parse_number<std::uint64_t>(text.substr(slash + 1, end - slash - 1))};
  }
  return {};
}

class Mdadm : public Collector {
 public:
  explicit Mdadm(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("mdstat"))),
        folder_(context.paths.sys("block")) {}

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = *content;
    const auto first = next_line(rest);
    const bool is_mdstat = first && first->starts_with("Personalities");
    if (first && !is_mdstat) {
      out.complaints().garbled(file_->path(), *first, "the line 'Personalities'", {"a line"});
    }
    devices_.begin_tick();
    while (const auto line = next_line(rest)) {
      if (line->empty() || line->starts_with(' ') || line->starts_with("unused")) continue;
      add_array(*line, rest, out);
    }
    devices_.end_tick();
    if (!is_mdstat && out.samples() == 0) {
      return failed(cat(file_->path(), ": expected 'Personalities'", got(*content)));
    }
    add_disks(out);
    return {};
  }

 private:
  /// `rest` begins with the lines that belong to the array's `line`.
  void add_array(std::string_view line, std::string_view& rest, SeriesWriter& out) {
    auto words = line;
    const auto name = next_word(words);
    const bool has_colon = next_word(words) == ":";
    const auto state = next_word(words);
    if (!has_colon || state.empty() || has_control(name)) {
      out.complaints().garbled(file_->path(), line, "the line of an array", {"a line"});
      return;
    }
    if (devices_.next(name, NamedDevice::make) == nullptr) {
      out.complaints().repeated(file_->path(), name);
      return;
    }
    auto status = rest.starts_with(' ') ? *next_line(rest) : std::string_view{};
    std::string_view progress, action;
    while (rest.starts_with(' ')) {
      const auto more = *next_line(rest);
      if (has(more, "bitmap")) continue;
      for (const auto& [word, as_state] : kActions) {
        if (!action.empty() || !has(more, word)) continue;
        progress = more;
        action = as_state;
      }
    }
    for (const auto known : kStates) {
      out.add(kState, {name, known}, (action.empty() ? state : action) == known ? 1 : 0);
    }
    add_disks_of(name, line, state, status, out);
    const auto word = next_word(status);
    const auto blocks = parse_number<std::uint64_t>(word);
    if (!blocks) {
      out.complaints().garbled(file_->path(), word, "a number of blocks", {kBlocks.name, {name}});
      return;
    }
    out.add(kBlocks, {name}, static_cast<double>(*blocks));
    add_synced(name, progress, *blocks, out);
  }

  void add_disks_of(std::string_view name, std::string_view line, std::string_view state,
                    std::string_view status, SeriesWriter& out) const {
    Ratio disks;  // required, active
    if (has(line, "raid0") || has(line, "linear")) {
      disks = Ratio{count(line, "["), count(line, "[")};
    } else {
      disks = state == "inactive" ? Ratio{0, 0} : find_ratio(status, '[', ']');
    }
    constexpr std::string_view kExpected = "a line with '[disks/active]'";
    if (disks.first) {
      out.add(kDisksRequired, {name}, static_cast<double>(*disks.first));
    } else {
      out.complaints().garbled(file_->path(), trim(status), kExpected,
                               {kDisksRequired.name, {name}});
    }
    if (disks.second) {
      out.add(kDisks, {name, "active"}, static_cast<double>(*disks.second));
    } else {
      out.complaints().garbled(file_->path(), trim(status), kExpected, {kDisks.name, {name}});
    }
    out.add(kDisks, {name, "failed"}, static_cast<double>(count(line, "(F)")));
    out.add(kDisks, {name, "spare"}, static_cast<double>(count(line, "(S)")));
  }

  void add_synced(std::string_view name, std::string_view progress, std::uint64_t blocks,
                  SeriesWriter& out) const {
    std::optional<std::uint64_t> synced = blocks;
    if (has(progress, "PENDING") || has(progress, "DELAYED")) {
      synced = 0;
    } else if (!progress.empty()) {
      synced = find_ratio(progress, '(', ')').first;
    }
    if (synced) {
      out.add(kBlocksSynced, {name}, static_cast<double>(*synced));
    } else {
      out.complaints().garbled(file_->path(), trim(progress), "a line with '(done/all)'",
                               {kBlocksSynced.name, {name}});
    }
  }

  void add_disks(SeriesWriter& out) {
    const SysFolder block(folder_);
    if (!block) return;
    block.list(names_);
    for (const auto& name : names_) {
      if (!name.starts_with("md")) continue;
      const SysFolder device(block, name.c_str());
      const SysFolder md(device, "md");
      if (!md || read_label(md, "level", kRaidDisks, level_, out) != SysLabel::good) continue;
      if (!level_.empty() && level_ != "container" && level_ != "imsm" && level_ != "ddf") {
        add_raid_disks(md, name, out);
      }
      if (level_ == "raid1" || level_ == "raid10" || level_.starts_with("raid4") ||
          level_.starts_with("raid5") || level_.starts_with("raid6")) {
        add_number(md, "degraded", kDegraded, {name}, out);
      } else {
        out.add(kDegraded, {name}, 0);
      }
    }
  }

  /// "2", or "3 (2)" while the array grows from 2.
  static void add_raid_disks(const SysFolder& md, const std::string& name, SeriesWriter& out) {
    constexpr auto kFile = "raid_disks";
    const auto content = md.read(kFile);
    const auto disks = parse_number<std::uint64_t>(word_at(content.text(), 0));
    if (content.error != 0) {
      complain(md, kFile, content.error, kRaidDisks.name, out);
    } else if (disks) {
      out.add(kRaidDisks, {name}, static_cast<double>(*disks));
    } else if (!content.text().empty()) {
      out.complaints().garbled(md.path(kFile), content.text(), "a number of disks",
                               {kRaidDisks.name, {name}});
    }
  }

  std::shared_ptr<KeptFile> file_;
  const std::string folder_;
  DeviceList<NamedDevice> devices_;
  std::vector<std::string> names_;
  std::string level_;
};

}  // namespace

CollectorType mdadm_collector() {
  return {make_collector<Mdadm>};
}

}  // namespace msp::collectors
