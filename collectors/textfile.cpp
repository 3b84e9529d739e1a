// textfile: the metrics that others leave in files, such as scripts run by cron, in the text format
// 0.0.4 (agent/metrics/exposition_parser.h):
//   # HELP backup_last_success_timestamp_seconds When the last backup was complete.
//   # TYPE backup_last_success_timestamp_seconds gauge
//   backup_last_success_timestamp_seconds 1700000000
//
// Every *.prom of the directories, in the order of their names, is read when it has changed, and
// not otherwise. A line that is none costs itself, what contradicts an earlier file costs the later
// one, a file that is too large costs that file; each is named in the log and in
// msp_agent_textfile_error. What all other parts of the scrape report wins over a file
// (CollectorType::gives_way).
//
// Beside node_exporter's: a line with a timestamp costs that line, not the file; so does the last
// line of a file that does not end with a newline, for it may be half written.
#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/metrics/exposition_parser.h"
#include "agent/metrics/labels.h"
#include "collectors/collector.h"
#include "collectors/replaced_file.h"

namespace msp::collectors {
namespace {

constexpr std::string_view kSource = "*.prom in the directories";
constexpr MetricDesc kMtime{"node_textfile_mtime_seconds",
                            "Unixtime mtime of textfiles successfully read.", kSource,
                            MetricType::gauge, "file"};
constexpr MetricDesc kScrapeError{"node_textfile_scrape_error",
                                  "1 if there was an error opening or reading a file, 0 otherwise",
                                  kSource};
constexpr MetricDesc kFileError{
    "msp_agent_textfile_error",
    "1 for each file of which something is left out, and why: unreadable, too_large, "
    "too_many_series, bad_line, conflict.",
    kSource, MetricType::gauge, "file,reason"};

constexpr std::size_t kFileBytesMax = 1 << 20;
constexpr std::size_t kSeriesMax = 10'000;  // of all files
constexpr std::size_t kFilesMax = 1'000;    // of a directory
// A folder that changed so lately may change again without another time (coarse clocks of file
// systems).
constexpr std::int64_t kRecentNs = 2 * kNsPerSecond;

// Ours, Debian's and that of node_exporter's own documentation.
constexpr std::string_view kUsual[] = {"/var/lib/msp-agent-textfile",
                                       "/var/lib/prometheus/node-exporter",
                                       "/var/lib/node_exporter/textfile_collector"};

struct Options {
  std::vector<std::string> directories;  // empty: those of kUsual that exist
  friend bool operator==(const Options&, const Options&) = default;
};

constexpr ConfigKey kOptions[] = {
    key<&Options::directories>(
        "directories",
        key_type::Texts{"a list of absolute paths", 32,
                        [](std::string_view path) { return path.starts_with('/'); }},
        {"Folders whose `*.prom` files are sent with every scrape.\n"
         "A folder of this list that is missing is an error; of the default, those that exist are "
         "read. docs/textfile.md says what may be in a file.",
         "[/var/lib/metrics]",
         "`/var/lib/msp-agent-textfile`, `/var/lib/prometheus/node-exporter` and "
         "`/var/lib/node_exporter/textfile_collector`"}),
};

struct Sample {
  std::string key;
  double value;
  metrics::NewSeries series;
  bool has_help;  // of its own
  bool is_left_out = false;
};

/// What is wrong with a file: of several the first.
struct Trouble {
  std::string_view reason;    // for the label
  std::string_view left_out;  // for the log
  Error error = {};
};

struct File {
  std::string name;
  std::string path;   // of the host
  std::string label;  // as the configuration has it
  struct stat seen {};
  bool is_known = false;  // `seen` is of what was read
  bool is_valid = false;
  double mtime_seconds = 0;
  std::vector<Sample> samples = {};
  std::optional<Trouble> trouble = std::nullopt;   // of itself
  std::optional<Trouble> conflict = std::nullopt;  // with the others
};

struct Directory {
  std::string label;
  std::string path;
  bool must_exist;
  struct stat seen {};
  bool is_listed = false;  // `seen` is of the list
  bool is_there = false;
  std::vector<File> files = {};
  std::optional<Trouble> trouble = std::nullopt;
};

Trouble trouble(std::string_view reason, std::string_view left_out, std::string_view path,
                std::string_view text) {
  return {reason, left_out, failed(cat(path, ": ", text))};
}

std::string_view value_of(const std::vector<metrics::Label>& labels, std::string_view name) {
  for (const auto& label : labels) {
    if (label.name == name) return label.value;
  }
  return {};
}

/// The names of what the agent sets in every series: a file's own ones are renamed, as a scrape does.
const metrics::TargetLabels& of_the_target() {
  static const auto& target =
      *new metrics::TargetLabels{{{std::string(metrics::kIdentityLabels[0]), ""},
                                  {std::string(metrics::kIdentityLabels[1]), ""}},
                                 {{"job", ""}, {"instance", ""}}};
  return target;
}

/// A label that the target has as well is renamed.
Result<void> keep_apart(std::vector<metrics::Label>& labels) {
  for (const auto& label : labels) {
    if (label.name.starts_with("__") && label.name != metrics::kMetricName) {
      return failed("a label whose name begins with __");
    }
  }
  std::erase_if(labels, [](const metrics::Label& label) { return label.value.empty(); });
  metrics::rename_own(labels, of_the_target());
  return {};
}

/// The samples of a file's text, into `file`.
class FileParser {
 public:
  explicit FileParser(File& file) : file_(file) {}

  void parse(std::string_view text) {
    const auto end = text.rfind('\n') + 1;  // 0 where there is none
    metrics::ExpositionParser parser(text.substr(0, end));
    while (const auto sample = parser.next()) {
      auto made = take(*sample, parser);
      if (!made) parser.reject(made.error().text);
    }
    auto first_bad = parser.first_bad_line();
    if (end != text.size() && first_bad.empty()) {
      const auto line = 1 + std::count(text.begin(), text.end(), '\n');
      first_bad = cat("line ", line, ": no newline behind it, so that it may be cut off: ",
                      quoted(text.substr(end), kQuotedBytesMax));
    }
    if (!first_bad.empty()) {
      file_.trouble = trouble("bad_line", "the line", file_.path, first_bad);
    }
    // Of what is no text of metrics at all nothing was read.
    file_.is_valid = parser.good_lines() > 0 || first_bad.empty();
  }

 private:
  Result<void> take(const metrics::ExpositionParser::Sample& sample,
                    metrics::ExpositionParser& parser) {
    if (sample.timestamp_ms) return failed("a timestamp, which a file's samples cannot have");
    auto made = parser.series();
    if (!made) return made.error();
    if (auto kept = keep_apart(made->labels); !kept) return kept;
    const bool has_help = made->desc && !made->desc->help.empty();
    if (!has_help) made->desc = without_help(*made);
    file_.samples.push_back({std::string(sample.series), sample.value, std::move(*made), has_help});
    return {};
  }

  /// node_exporter says of a metric without HELP where it is from.
  metrics::DescPtr without_help(const metrics::NewSeries& made) {
    const std::string name(made.desc ? made.desc->name
                                     : value_of(made.labels, metrics::kMetricName));
    auto& desc = without_help_[name];
    if (!desc) {
      const auto type = made.desc ? made.desc->type : MetricType::untyped;
      desc = metrics::make_desc(name, cat("Metric read from ", file_.label), type);
    }
    return desc;
  }

  File& file_;
  std::unordered_map<std::string, metrics::DescPtr> without_help_;
};

/// What contradicts an earlier file, or is in one as well.
class Conflicts {
 public:
  void settle(File& file) {
    file.conflict.reset();
    if (series_ + file.samples.size() > kSeriesMax) {
      for (auto& sample : file.samples) sample.is_left_out = true;
      if (file.samples.empty()) return;
      file.conflict = trouble("too_many_series", "the file", file.path,
                              cat("with its ", grouped(file.samples.size()),
                                  " series all files would have more than ", grouped(kSeriesMax)));
      return;
    }
    series_ += file.samples.size();
    for (auto& sample : file.samples) {
      sample.is_left_out = false;
      check(sample, file);
    }
  }

 private:
  struct Family {
    metrics::DescPtr desc;
    const File* file;
    bool has_help;
  };

  void check(Sample& sample, File& file) {
    const auto& desc = *sample.series.desc;
    const Family own{sample.series.desc, &file, sample.has_help};
    const auto [at, is_new] = families_.try_emplace(desc.name, own);
    const auto& first = at->second;
    if (!is_new && first.file != &file) {
      const bool has_other_help =
          first.has_help && sample.has_help && first.desc->help != desc.help;
      if (has_other_help || first.desc->type != desc.type) {
        return leave_out(sample, file,
                         cat("the ", has_other_help ? "HELP" : "TYPE", " of ", visible(desc.name),
                             " is not that in ", first.file->path));
      }
    }
    const auto seen =
        labels_.try_emplace(std::string(metrics::Labels(sample.series.labels).flat()), &file);
    if (seen.second) return;
    const auto& path = seen.first->second->path;
    leave_out(sample, file,
              cat(quoted(sample.key, kQuotedBytesMax), " is there already",
                  path == file.path ? "" : cat(", in ", path)));
  }

  static void leave_out(Sample& sample, File& file, std::string_view why) {
    sample.is_left_out = true;
    if (!file.conflict) file.conflict = trouble("conflict", "what came later", file.path, why);
  }

  std::unordered_map<std::string_view, Family> families_;
  std::unordered_map<std::string, const File*> labels_;
  std::size_t series_ = 0;
};

class Textfile : public Collector {
 public:
  explicit Textfile(const CollectorContext& context) {
    const auto& wanted = context.options.as<Options>().directories;
    const auto add = [&](std::string_view path, bool must_exist) {
      directories_.push_back({std::string(path), context.paths.root(path), must_exist});
    };
    for (const auto& path : wanted) add(path, true);
    if (wanted.empty()) {
      for (const auto path : kUsual) add(path, false);
    }
  }

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    bool has_changed = false, has_any = false;
    for (auto& directory : directories_) {
      has_changed |= list(directory, tick);
      has_any |= directory.is_there || directory.must_exist;
      for (auto& file : directory.files) has_changed |= look(file);
    }
    if (!has_any) return no_data("none of the usual directories of *.prom files is there");
    if (has_changed) settle();
    add_samples(out);
    add_health(out);
    return {};
  }

 private:
  static bool list(Directory& directory, const Tick& tick);
  static void find_files(Directory& directory);
  static bool look(File& file);
  void settle();
  void add_samples(SeriesWriter& out) const;
  void add_health(SeriesWriter& out) const;

  std::vector<Directory> directories_;
};

/// True: other files are in it than at the last tick.
bool Textfile::list(Directory& directory, const Tick& tick) {
  struct stat now {};
  if (::stat(directory.path.c_str(), &now) != 0) {
    const int error = errno;
    const bool had_any = !directory.files.empty();
    directory.files.clear();
    directory.is_there = directory.is_listed = false;
    const bool is_trouble = directory.must_exist || error != ENOENT;
    if (is_trouble && !directory.trouble) {
      directory.trouble = trouble("unreadable", "the directory", directory.path, errno_text(error));
    } else if (!is_trouble) {
      directory.trouble.reset();
    }
    return had_any;
  }
  directory.is_there = true;
  const auto age_ns = tick.wall_ns - (now.st_mtim.tv_sec * kNsPerSecond + now.st_mtim.tv_nsec);
  const bool is_recent = age_ns < kRecentNs && age_ns > -kRecentNs;
  if (directory.is_listed && is_unchanged(directory.seen, now) && !is_recent) return false;
  directory.seen = now;
  directory.is_listed = true;
  find_files(directory);
  return true;
}

void Textfile::find_files(Directory& directory) {
  directory.trouble.reset();
  const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.path.c_str()), closedir);
  if (!open) {
    directory.trouble = trouble("unreadable", "the directory", directory.path, errno_text(errno));
  }
  std::vector<std::string> names;
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    if (std::string_view(entry->d_name).ends_with(".prom")) names.emplace_back(entry->d_name);
  }
  if (names.size() > kFilesMax) {
    directory.trouble = trouble("too_many_series", "the directory", directory.path,
                                cat("more than ", kFilesMax, " files *.prom"));
    names.clear();
  }
  std::sort(names.begin(), names.end());
  std::vector<File> files;
  for (auto& name : names) {
    const auto is_it = [&](const File& file) { return file.name == name; };
    const auto known = std::find_if(directory.files.begin(), directory.files.end(), is_it);
    if (known != directory.files.end()) {
      files.push_back(std::move(*known));
      known->name.clear();
      continue;
    }
    auto label = cat(directory.label, "/", name);
    make_utf8(label);
    files.push_back({.name = name, .path = cat(directory.path, "/", name), .label = label});
  }
  directory.files = std::move(files);
}

/// True: it is another one than at the last tick.
bool Textfile::look(File& file) {
  struct stat now {};
  const bool is_there = ::stat(file.path.c_str(), &now) == 0;
  if (is_there && file.is_known && is_unchanged(file.seen, now)) return false;
  const bool was_known = file.is_known || file.trouble;
  file.is_known = file.is_valid = false;
  file.samples.clear();
  if (is_there && S_ISREG(now.st_mode) && now.st_size > static_cast<off_t>(kFileBytesMax)) {
    file.trouble =
        trouble("too_large", "the file", file.path, cat("larger than ", kFileBytesMax, " bytes"));
    file.seen = now;
    return file.is_known = true;
  }
  const auto content = read_file(file.path, kFileBytesMax);
  if (!content) {
    const bool is_told = file.trouble && file.trouble->error.text == content.error().text;
    if (!is_told) file.trouble = {"unreadable", "the file", failed(content.error().text)};
    return !is_told || !was_known;
  }
  file.trouble.reset();
  file.seen = now;  // from before the read: what changes meanwhile is read again
  file.is_known = true;
  file.mtime_seconds = static_cast<double>(now.st_mtim.tv_sec);
  FileParser(file).parse(*content);
  return true;
}

void Textfile::settle() {
  Conflicts conflicts;
  for (auto& directory : directories_) {
    for (auto& file : directory.files) conflicts.settle(file);
  }
}

void Textfile::add_samples(SeriesWriter& out) const {
  for (const auto& directory : directories_) {
    for (const auto& file : directory.files) {
      for (const auto& sample : file.samples) {
        if (sample.is_left_out) continue;
        static_cast<void>(
            out.add_outside(sample.key, sample.value,
                            [&]() -> Result<metrics::NewSeries> { return sample.series; }));
      }
    }
  }
}

void Textfile::add_health(SeriesWriter& out) const {
  bool has_trouble = false;
  const auto tell = [&](const std::optional<Trouble>& trouble, const std::string& path) {
    if (!trouble) return;
    has_trouble = true;
    out.complaints().unreadable(path, trouble->error, {trouble->left_out});
  };
  for (const auto& directory : directories_) {
    tell(directory.trouble, directory.path);
    for (const auto& file : directory.files) {
      if (file.is_valid) out.add(kMtime, {file.label}, file.mtime_seconds);
      const auto& trouble = file.trouble ? file.trouble : file.conflict;
      if (trouble) out.add(kFileError, {file.label, trouble->reason}, 1);
      tell(trouble, file.path);
    }
  }
  out.add(kScrapeError, has_trouble ? 1 : 0);
}

}  // namespace

CollectorType textfile_collector() {
  return {.make = make_collector<Textfile>,
          .options = make_options<Options, kOptions>,
          .gives_way = true};
}

}  // namespace msp::collectors
