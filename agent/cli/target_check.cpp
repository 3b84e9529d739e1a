#include "agent/cli/target_check.h"

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/base/wakeup.h"
#include "agent/http/client.h"
#include "agent/metrics/exposition_parser.h"
#include "agent/run/make_probe.h"
#include "agent/sources/exporter.h"

namespace msp::cli {
namespace {

/// What the agent would take of the answer.
Step samples_step(const http::HttpAnswer& answer, const config::ScrapeTarget& target) {
  Step step{.name = "samples"};
  metrics::ExpositionParser parser(answer.content,
                                   sources::exposition_options(answer, target.http, true));
  while (parser.next()) {
    if (const auto series = parser.series(); !series) parser.reject(series.error().text);
  }
  const auto verdict = parser.verdict();
  if (!verdict) {
    step.verdict = Verdict::failed;
    step.text = verdict.error().text;
  } else if (parser.good_lines() > target.scrape->series_max) {
    step.verdict = Verdict::failed;
    step.text =
        cat(grouped(parser.good_lines()), ", more than series_max, which is ",
            grouped(target.scrape->series_max), ": raise it, or leave metrics out at the exporter");
  } else if (parser.bad_lines() > 0) {
    step.verdict = Verdict::warning;
    step.text =
        cat(grouped(parser.good_lines()), "; ", grouped(parser.bad_lines()),
            " lines are no samples and are left out, the first is ", parser.first_bad_line());
  } else {
    step.verdict = parser.good_lines() == 0 ? Verdict::note : Verdict::ok;
    step.text = cat(grouped(parser.good_lines()), " samples");
  }
  step.facts = {{"samples", static_cast<std::int64_t>(parser.good_lines())},
                {"bad_lines", static_cast<std::int64_t>(parser.bad_lines())}};
  return step;
}

}  // namespace

void check_probe(const config::ProbeTarget& target, CheckReport& report) {
  report.begin_target(target.name);
  const auto wakeup = std::make_shared<const Wakeup>();
  http::Transfers transfers({.wakeup = wakeup});
  const auto probe = run::make_probe(
      target, {.name = target.name, .labels = target.labels, .interval = target.interval},
      transfers);
  static_cast<void>(sources::scrape_now(*probe, {1, wall_ns()}, *wakeup));
  const auto health = probe->health();
  report.add({.name = "probe",
              .verdict = health.is_up ? Verdict::ok : Verdict::failed,
              .text = health.is_up ? std::string("success") : health.error,
              .took_us = static_cast<std::int64_t>(health.duration_seconds * 1e6)});
}

void check_target(const config::ScrapeTarget& target, CheckReport& report) {
  report.begin_target(target.name);
  http::HttpTrace trace;
  const auto answer =
      http::HttpClient(target.http)
          .send(sources::scrape_request(target.http.timeout, target.scrape->body_bytes_max),
                &trace);
  Step step{.name = "scrape", .took_us = trace.total_us};
  const auto checked = sources::check_scrape(answer);
  if (!checked) {
    step.verdict = Verdict::failed;
    step.text = checked.error().text;
    return report.add(std::move(step));
  }
  step.text = cat("HTTP 200, ", grouped(answer.content.size()), " bytes");
  report.add(std::move(step));
  report.add(samples_step(answer, target));
}

}  // namespace msp::cli
