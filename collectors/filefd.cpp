// filefd: open files of the whole host, from /proc/sys/fs/file-nr (proc(5)): in use, a number that
// is always 0, and the most there may be.
//   1272	0	2466186
#include "agent/base/text.h"
#include "collectors/collector.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc kAllocated{"node_filefd_allocated", "File descriptor statistics: allocated.",
                                "/proc/sys/fs/file-nr"};
constexpr MetricDesc kMaximum{"node_filefd_maximum", "File descriptor statistics: maximum.",
                              "/proc/sys/fs/file-nr"};

class Filefd : public Collector {
 public:
  explicit Filefd(const CollectorContext& context)
      : file_(context.files.open(context.paths.proc("sys/fs/file-nr"), KeptFile::End::short_read)) {
  }

  Result<void> collect(const Tick& tick, SeriesWriter& out) override {
    const auto content = file_->read(tick.number);
    if (!content) return content.error();
    auto rest = trim(*content);
    add(kAllocated, next_word(rest), out);
    next_word(rest);
    add(kMaximum, next_word(rest), out);
    if (out.samples() > 0) return {};
    return failed(cat(file_->path(), ": expected 3 numbers", got(*content)));
  }

 private:
  void add(const MetricDesc& family, std::string_view word, SeriesWriter& out) const {
    if (const auto count = parse_number<std::uint64_t>(word)) {
      out.add(family, static_cast<double>(*count));
    } else {
      out.complaints().garbled(file_->path(), word, "a count", {family.name});
    }
  }

  std::shared_ptr<KeptFile> file_;
};

}  // namespace

CollectorType filefd_collector() {
  return {make_collector<Filefd>};
}

}  // namespace msp::collectors
