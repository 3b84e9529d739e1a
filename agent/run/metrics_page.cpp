#include "agent/run/metrics_page.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "agent/base/text.h"
#include "agent/http/gzip.h"
#include "agent/metrics/exposition.h"
#include "agent/run/process.h"
#include "agent/sources/background.h"
#include "agent/sources/host.h"

namespace msp::run {
namespace {

constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::size_t kStackBytes = 256 * 1024;
// A page is younger than that, or is made anew.
constexpr std::int64_t kFreshNs = kNsPerSecond;
// Prometheus' default; less than what a request says it waits for, so that it learns why.
constexpr std::int64_t kWaitNs = 10 * kNsPerSecond;
constexpr std::int64_t kWaitMaxNs = 60 * kNsPerSecond;
constexpr std::int64_t kReserveNs = kNsPerSecond / 2;
// What collectors wait for ends after half of it.
constexpr std::chrono::seconds kCollectInterval{10};
// Choices of collectors that are remembered, and that are read at the same time: each has series of its
// own in memory.
constexpr std::size_t kSetsMax = 4;
constexpr std::size_t kRunningMax = 2;

constexpr std::string_view kIndexPage =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><title>msp-agent</title></head>\n"
    "<body><h1>msp-agent " MSP_AGENT_VERSION
    "</h1><p><a href=\"/metrics\">Metrics</a></p></body></html>\n";

constexpr std::string_view kSelf = "the agent";
constexpr auto kCounter = metrics::MetricType::counter;
constexpr metrics::MetricDesc kBuildInfo{"msp_agent_build_info",
                                         "A constant 1 with the version of the running agent.",
                                         kSelf, metrics::MetricType::gauge, "version"};
// Names and HELP of Prometheus' client library for Go.
constexpr metrics::MetricDesc kCpuSeconds{"process_cpu_seconds_total",
                                          "Total user and system CPU time spent in seconds.", kSelf,
                                          kCounter};
constexpr metrics::MetricDesc kMaxFds{"process_max_fds", "Maximum number of open file descriptors.",
                                      kSelf};
constexpr metrics::MetricDesc kOpenFds{"process_open_fds", "Number of open file descriptors.",
                                       kSelf};
constexpr metrics::MetricDesc kResident{"process_resident_memory_bytes",
                                        "Resident memory size in bytes.", kSelf};
constexpr metrics::MetricDesc kStart{
    "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", kSelf};
constexpr metrics::MetricDesc kVirtual{"process_virtual_memory_bytes",
                                       "Virtual memory size in bytes.", kSelf};
constexpr metrics::MetricDesc kVirtualMax{"process_virtual_memory_max_bytes",
                                          "Maximum amount of virtual memory available in bytes.",
                                          kSelf};

/// 2^64 - 1 where there is none, as the Go library has it.
double limit_of(int resource) {
  struct rlimit limit {};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0
                                         : static_cast<double>(limit.rlim_cur);
}

/// Without the one that it is counted with.
std::optional<double> open_files() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return std::nullopt;
  double count = -3;  // ".", "..", and the folder's own
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count;
}

double start_seconds() {
  const auto process = read_process(::getpid());
  if (!process) return 0;
  const auto boot_ns = wall_ns() - clock_ns(CLOCK_BOOTTIME);
  return static_cast<double>(boot_ns / kNsPerMs) / 1000 +
         static_cast<double>(process->start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

void add_process(metrics::SeriesWriter& out) {
  static const double start = start_seconds();
  out.add(kBuildInfo, {MSP_AGENT_VERSION}, 1);
  out.add(kCpuSeconds, static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID)) / kNsPerSecond);
  out.add(kMaxFds, limit_of(RLIMIT_NOFILE));
  if (const auto count = open_files()) out.add(kOpenFds, *count);
  out.add(kStart, start);
  out.add(kVirtualMax, limit_of(RLIMIT_AS));
  // /proc/self/statm, in pages: total resident shared text lib data dirty
  const auto statm = read_file("/proc/self/statm", 1024);
  if (!statm) return;
  std::string_view words = *statm;
  const auto page_bytes = static_cast<double>(::sysconf(_SC_PAGESIZE));
  const auto total = parse_number<std::uint64_t>(next_word(words));
  const auto resident = parse_number<std::uint64_t>(next_word(words));
  if (total) out.add(kVirtual, static_cast<double>(*total) * page_bytes);
  if (resident) out.add(kResident, static_cast<double>(*resident) * page_bytes);
}

/// "%5B" is "[", "+" is a blank.
std::string decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto code = text[i] == '%' && i + 2 < text.size()
                          ? parse_number<std::uint8_t>(text.substr(i + 1, 2), 16)
                          : std::nullopt;
    out += code ? static_cast<char>(*code) : text[i] == '+' ? ' ' : text[i];
    if (code) i += 2;
  }
  return out;
}

bool takes_gzip(const listen::HttpRequestHead& head) {
  auto rest = std::string_view(head.field("accept-encoding"));
  while (!rest.empty()) {
    const auto entry = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), entry.size() + 1));
    const auto parameters = entry.find(';');
    if (lower_case(trim(entry.substr(0, parameters))) != "gzip") continue;
    const auto weight =
        parameters == entry.npos ? std::string_view() : trim(entry.substr(parameters + 1));
    return weight != "q=0" && weight != "q=0.0";
  }
  return false;
}

std::int64_t wait_of(const listen::HttpRequestHead& head) {
  const auto seconds = parse_amount(head.field("x-prometheus-scrape-timeout-seconds"));
  const auto wanted_ns =
      static_cast<std::int64_t>(std::min(seconds.value_or(0), 1e6) * kNsPerSecond);
  return std::clamp(wanted_ns == 0 ? kWaitNs : wanted_ns, 2 * kReserveNs, kWaitMaxNs) - kReserveNs;
}

listen::HttpReply busy_reply(std::string why) {
  auto reply = listen::text_reply(503, std::move(why));
  reply.fields.emplace_back("Retry-After: 5");
  return reply;
}

/// A page shows what is there: no markers of what has ended.
metrics::Scrape without_ended(metrics::Scrape scrape) {
  if (std::ranges::none_of(scrape.values, metrics::is_stale_marker)) return scrape;
  auto series = std::make_shared<metrics::SeriesSet>();
  std::vector<double> values;
  for (std::size_t i = 0; i < scrape.values.size(); ++i) {
    if (metrics::is_stale_marker(scrape.values[i])) continue;
    series->push_back((*scrape.series)[i]);
    values.push_back(scrape.values[i]);
  }
  scrape.series = std::move(series);
  scrape.values = std::move(values);
  return scrape;
}

struct Page {
  std::shared_ptr<const std::string> text;
  std::shared_ptr<const std::string> packed;  // null: nobody asked for it
  std::size_t series = 0;
};

}  // namespace

/// The collectors of one choice. One call at a time uses them; it outlives the page if it hangs.
class PageSources {
 public:
  PageSources(std::shared_ptr<const MetricsPage::Setup> setup,
              const std::vector<std::string>& collectors)
      : setup_(std::move(setup)),
        process_(metrics::TargetLabels{}),
        process_writer_(process_.add_writer()) {
    for (const bool is_costly : {false, true}) {
      auto names = sources::collectors_of(collectors, is_costly);
      if (names.empty()) continue;
      auto& source = is_costly ? costly_ : host_;
      source = std::make_unique<sources::HostSource>(sources::HostSource::Setup{
          .name = std::string(is_costly ? sources::kCostlySource : sources::kHostSource),
          .collectors = std::move(names),
          .paths = setup_->paths,
          .options = setup_->options,
          .interval = kCollectInterval,
          .series_max = setup_->series_max,
          .relabel = setup_->relabel,
          .host = setup_->host,
          .wakeup = wakeup_,
          .on_health_change = setup_->on_health_change,
          .self_samples = nullptr});
    }
  }

  Page make(bool is_packed) {
    const metrics::Tick tick{++ticks_, wall_ns()};
    const auto now_ns = monotonic_ns();
    const bool asks_costly =
        costly_ != nullptr && (costly_scrape_.values.empty() || now_ns >= costly_again_ns_);
    if (asks_costly) costly_->begin(tick);
    std::vector<metrics::Scrape> scrapes;
    if (host_ != nullptr)
      scrapes.push_back(without_ended(sources::scrape_now(*host_, tick, *wakeup_)));
    if (asks_costly) {
      costly_scrape_ = without_ended(sources::finish_now(*costly_, tick, *wakeup_));
      // Requests are not exact: somewhat less than the interval.
      costly_again_ns_ =
          now_ns + std::chrono::nanoseconds(setup_->costly_interval).count() * 9 / 10;
    }
    if (costly_ != nullptr) scrapes.push_back(costly_scrape_);
    process_.begin(process_writer_);
    add_process(process_writer_);
    [[maybe_unused]] const auto committed = process_.commit(process_writer_);  // each is there once
    scrapes.push_back(process_.finish(tick.wall_ns / kNsPerMs));
    Page page{.text = std::make_shared<const std::string>(metrics::text_format(scrapes)),
              .packed = nullptr};
    for (const auto& scrape : scrapes) page.series += scrape.values.size();
    if (!is_packed) return page;
    auto packed = http::gzip(*page.text);
    if (!packed.empty()) page.packed = std::make_shared<const std::string>(std::move(packed));
    return page;
  }

 private:
  const std::shared_ptr<const MetricsPage::Setup> setup_;
  const std::shared_ptr<const Wakeup> wakeup_ = std::make_shared<const Wakeup>();
  std::unique_ptr<sources::HostSource> host_;
  std::unique_ptr<sources::HostSource> costly_;
  metrics::Scrape costly_scrape_;
  std::int64_t costly_again_ns_ = 0;
  metrics::ScrapeBuilder process_;
  metrics::SeriesWriter& process_writer_;
  std::uint64_t ticks_ = 0;
};

struct MetricsPage::Set {
  struct Waiting {
    listen::ReplyTo to;
    std::int64_t until_ns;
    bool takes_gzip;
  };

  Set(std::vector<std::string> names, std::shared_ptr<PageSources> made,
      std::shared_ptr<const Wakeup> wakeup)
      : collectors(std::move(names)),
        sources(std::move(made)),
        call(std::move(wakeup), kStackBytes) {}

  bool is_fresh(std::int64_t now_ns, bool takes_gzip) const {
    return page && now_ns - begun_ns < kFreshNs && (page->packed != nullptr || !takes_gzip);
  }

  /// An error where there can be no thread.
  Result<void> start(std::int64_t now_ns) {
    page.reset();
    begun_ns = now_ns;
    const bool is_packed = std::ranges::any_of(waiting, &Waiting::takes_gzip);
    return call.start([sources = sources, is_packed] { return sources->make(is_packed); });
  }

  static listen::HttpReply reply(const Page& page, bool takes_gzip) {
    listen::HttpReply reply{
        .content_type = kContentType, .body = page.text, .fields = {"Vary: Accept-Encoding"}};
    if (takes_gzip && page.packed) {
      reply.body = page.packed;
      reply.fields.emplace_back("Content-Encoding: gzip");
    }
    return reply;
  }

  const std::vector<std::string> collectors;
  const std::shared_ptr<PageSources> sources;
  sources::Background<Page> call;
  std::int64_t begun_ns = 0;
  std::optional<Page> page;
  std::size_t series = 0;  // of the last one
  std::vector<Waiting> waiting;
};

MetricsPage::MetricsPage(Setup setup) : setup_(std::make_shared<const Setup>(std::move(setup))) {}
MetricsPage::~MetricsPage() = default;

std::optional<listen::HttpReply> MetricsPage::refuse(listen::HttpRequestHead& head, std::size_t&) {
  if (head.path != "/" && head.path != "/metrics")
    return listen::text_reply(404, "404 page not found");
  if (head.method == "GET" || head.method == "HEAD") return std::nullopt;
  auto reply = listen::text_reply(405, "GET and HEAD are answered here");
  reply.fields.emplace_back("Allow: GET, HEAD");
  return reply;
}

/// The collectors that the query leaves, in the registry's order.
Result<std::vector<std::string>> MetricsPage::select(std::string_view query) const {
  std::set<std::string> collect;
  std::set<std::string> exclude;
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const auto equals = std::min(pair.find('='), pair.size());
    const auto key = decoded(pair.substr(0, equals));
    if (key != "collect[]" && key != "exclude[]") continue;
    const auto name = decoded(pair.substr(std::min(equals + 1, pair.size())));
    if (std::ranges::find(setup_->collectors, name) == setup_->collectors.end()) {
      const bool is_known = std::ranges::find(collectors::collector_names(), name) !=
                            collectors::collector_names().end();
      return failed(cat(is_known ? "disabled collector: " : "missing collector: ",
                        quoted(name, kQuotedBytesMax)));
    }
    (key == "collect[]" ? collect : exclude).insert(name);
  }
  if (!collect.empty() && !exclude.empty()) {
    return failed("Combined collect and exclude queries are not allowed.");
  }
  std::vector<std::string> chosen;
  for (const auto& name : setup_->collectors) {
    if (collect.empty() ? !exclude.contains(name) : collect.contains(name)) chosen.push_back(name);
  }
  return chosen;
}

/// Null where as many others are being read as can be.
MetricsPage::Set* MetricsPage::find_set(const std::vector<std::string>& collectors) {
  const auto found =
      std::ranges::find_if(sets_, [&](const auto& set) { return set->collectors == collectors; });
  if (found != sets_.end()) {
    std::rotate(sets_.begin(), found,
                found + 1);  // the last one is the one that was not used for longest
    return sets_.front().get();
  }
  const auto running =
      std::ranges::count_if(sets_, [](const auto& set) { return set->call.is_running(); });
  if (static_cast<std::size_t>(running) >= kRunningMax) return nullptr;
  while (sets_.size() >= kSetsMax && forget_oldest()) {
  }
  sets_.insert(sets_.begin(),
               std::make_unique<Set>(collectors, std::make_shared<PageSources>(setup_, collectors),
                                     setup_->wakeup));
  return sets_.front().get();
}

/// Of the choices that nobody waits for the one that was not used for longest; false: there is none.
bool MetricsPage::forget_oldest() {
  const auto idle = std::find_if(sets_.rbegin(), sets_.rend(), [](const auto& set) {
    return set->waiting.empty() && !set->call.is_running();
  });
  if (idle == sets_.rend()) return false;
  sets_.erase(std::next(idle).base());
  return true;
}

void MetricsPage::handle(const listen::HttpRequestHead& head, std::string&, listen::ReplyTo to,
                         listen::Server& server) {
  if (head.path == "/") {
    return server.reply(to, {.content_type = "text/html; charset=utf-8",
                             .body = std::make_shared<const std::string>(kIndexPage)});
  }
  const auto selection = select(head.query);
  if (!selection) return server.reply(to, listen::text_reply(400, selection.error().text));
  const auto now_ns = server.clock().monotonic_ns();
  auto* const set = find_set(*selection);
  if (set == nullptr) {
    return server.reply(
        to, busy_reply("Too many choices of collectors are being read, try again later."));
  }
  const bool is_packed = takes_gzip(head);
  if (set->is_fresh(now_ns, is_packed)) return server.reply(to, Set::reply(*set->page, is_packed));
  set->waiting.push_back({to, now_ns + wait_of(head), is_packed});
  if (set->call.is_running()) return;
  if (const auto started = set->start(now_ns); !started) {
    set->waiting.pop_back();
    server.reply(to, busy_reply(started.error().text));
  }
}

void MetricsPage::work(listen::Server& server) {
  const auto now_ns = server.clock().monotonic_ns();
  for (const auto& set : sets_) {
    if (set->waiting.empty()) {
      if (set->page && now_ns - set->begun_ns >= kFreshNs) set->page.reset();
      continue;
    }
    if (!set->call.is_running() && now_ns - set->begun_ns >= kWaitMaxNs && set->start(now_ns)) {
      continue;  // it hung, and what it has read is of long ago
    }
    if (!set->call.is_running()) {
      set->page = set->call.take();
      set->series = set->page ? set->page->series : 0;
      const bool failed = !set->page;
      for (const auto& one : std::exchange(set->waiting, {})) {
        server.reply(one.to, failed ? listen::text_reply(
                                          500, "the metrics could not be read; the log says why")
                                    : Set::reply(*set->page, one.takes_gzip));
      }
      continue;
    }
    std::erase_if(set->waiting, [&](const auto& one) {
      if (now_ns < one.until_ns) return false;
      server.reply(one.to, busy_reply("the host's metrics were not read in time"));
      return true;
    });
  }
  // What all choices have in memory together is not more than what one may have.
  const auto has_too_many = [&] {
    std::size_t series = 0;
    for (const auto& set : sets_) series += set->series;
    return series > setup_->series_max;
  };
  while (sets_.size() > 1 && has_too_many() && forget_oldest()) {
  }
}

std::int64_t MetricsPage::due_ns() const {
  auto due_ns = kNeverNs;
  for (const auto& set : sets_) {
    if (set->page) due_ns = std::min(due_ns, set->begun_ns + kFreshNs);
    for (const auto& one : set->waiting) due_ns = std::min(due_ns, one.until_ns);
  }
  return due_ns;
}

}  // namespace msp::run
