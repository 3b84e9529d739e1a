#include "agent/sources/exporter.h"

#include <algorithm>
#include <iterator>

#include "agent/base/text.h"

namespace msp::sources {
namespace {

constexpr std::string_view kAccept =
    "Accept: text/plain;version=0.0.4;q=1, application/openmetrics-text;version=1.0.0;q=0.5, "
    "*/*;q=0.1";
constexpr std::int64_t kLookNs = 3600 * kNsPerSecond;  // it wakes the agent when it has ended
// Beyond the timeout, for the words of what failed.
constexpr std::chrono::milliseconds kGrace{250};
// How far a sample's own time may be from the scrape's.
constexpr std::int64_t kAheadMaxMs = 10 * 60 * 1000;
constexpr std::int64_t kOldMaxMs = 60 * 60 * 1000;

/// What the agent itself says of every target.
constexpr std::string_view kAbout[] = {"up", "scrape_duration_seconds", "scrape_samples_scraped",
                                       "scrape_samples_post_metric_relabeling",
                                       "scrape_series_added"};

/// A target's own "up" would take the place of the agent's: it becomes exported_up.
void make_room(std::vector<metrics::Label>& labels) {
  for (auto& label : labels) {
    if (label.name != metrics::kMetricName || labels.size() > 1) continue;
    if (std::find(std::begin(kAbout), std::end(kAbout), label.value) == std::end(kAbout)) continue;
    label.value.insert(0, "exported_");
  }
}

SourceOptions with_deadline(SourceOptions options, const http::HttpOptions& http) {
  options.deadline = std::min<std::chrono::nanoseconds>(http.timeout + kGrace, options.interval);
  return options;
}

}  // namespace

http::HttpRequest scrape_request(std::chrono::milliseconds timeout, std::size_t body_bytes_max) {
  http::HttpRequest request;
  const auto seconds = static_cast<double>(timeout.count()) / 1000;
  request.headers = {std::string(kAccept), cat("X-Prometheus-Scrape-Timeout-Seconds: ", seconds)};
  request.content_max = body_bytes_max;
  return request;
}

metrics::ExpositionOptions exposition_options(const http::HttpAnswer& answer,
                                              const http::HttpOptions& options, bool normalizes) {
  const bool was_told_a_secret = !options.username.empty() || !options.bearer_token.empty() ||
                                 !options.bearer_token_file.empty() || !options.headers.empty() ||
                                 options.url.find('?') != std::string::npos;
  return {metrics::exposition_format(answer.header("Content-Type")), normalizes,
          !was_told_a_secret};
}

Result<void> check_scrape(const http::HttpAnswer& answer) {
  if (answer.status == 200) return {};
  if (answer.status == 0) {
    return failed(cat(answer.error, answer.is_too_long ? "; raise body_max" : ""));
  }
  auto text = cat("HTTP ", answer.status);
  if (!answer.moved_to.empty()) {
    text += cat(", redirected to ", answer.moved_to, ": set that as the target");
  }
  if (!answer.words.empty()) text += cat(": ", answer.words);
  if (answer.status == 401 || answer.status == 403) {
    text += "; set basic_auth or bearer_token_file of the job";
  } else if (answer.status == 404) {
    text += "; correct the path of the target";
  }
  return failed(std::move(text));
}

Exporter::Exporter(SourceOptions options, Setup setup, http::Transfers& transfers, Clock& clock)
    : Target(with_deadline(std::move(options), setup.http), clock),
      setup_(std::move(setup)),
      peer_(transfers.peer(setup_.http)) {}

std::int64_t Exporter::wait_ns() {
  return started_ && peer_->is_running() ? kLookNs : 0;
}

void Exporter::start(const metrics::Tick&) {
  started_ = peer_->start(scrape_request(setup_.http.timeout, setup_.body_bytes_max));
}

/// With the limits of Prometheus: what is further away is of another clock than this host's.
void Exporter::add_timed(metrics::ExpositionParser& parser, std::int64_t now_ms,
                         metrics::SeriesWriter& out) {
  while (auto sample = parser.next(out.expected_key())) {
    const auto time_ms = sample->timestamp_ms;
    if (time_ms && (*time_ms > now_ms + kAheadMaxMs || *time_ms < now_ms - kOldMaxMs)) {
      parser.reject("a timestamp more than 10 minutes ahead, or an hour old");
      continue;
    }
    sample->value = own_times_.ticket(sample->value, time_ms);
    parser.add(*sample, out, make_room);
  }
}

std::size_t Exporter::settle(metrics::Scrape& scrape) {
  timed_.clear();
  return own_times_.split(scrape, timed_);
}

Result<void> Exporter::collect(const metrics::Tick& tick, metrics::SeriesWriter& out) {
  bad_lines_ = 0;
  first_bad_line_.clear();
  own_times_.begin();
  if (!started_) return started_;
  const auto outcome = peer_->take();
  if (!outcome) {
    return failed(cat("no answer within ", duration_text(setup_.http.timeout.count() * kNsPerMs)));
  }
  const auto& answer = outcome->answer;
  if (auto checked = check_scrape(answer); !checked) return checked;
  metrics::ExpositionParser parser(answer.content,
                                   exposition_options(answer, setup_.http, setup_.normalizes));
  if (setup_.honors_timestamps) {
    add_timed(parser, tick.wall_ns / kNsPerMs, out);
  } else {
    parser.add_all(out, make_room);
  }
  bad_lines_ = parser.bad_lines();
  first_bad_line_ = parser.first_bad_line();
  if (parser.good_lines() == 0 && answer.is_html) {
    return failed("a page for people (text/html) and no metrics; correct the path of the target");
  }
  return parser.verdict();
}

void Exporter::add_about(metrics::SeriesWriter& out, SourceHealth& health) {
  health.bad_lines = bad_lines_;
  health.first_bad_line = first_bad_line_;
  if (bad_lines_ > 0) out.add(kScrapeBadLines, static_cast<double>(bad_lines_));
}

}  // namespace msp::sources
