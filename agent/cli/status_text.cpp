#include "agent/cli/status_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <utility>
#include <vector>

#include "agent/base/clock.h"
#include "agent/base/text.h"
#include "agent/sources/host.h"

namespace msp::cli {
namespace {

using Life = SeenStatus::Life;
using Row = std::vector<std::string>;

constexpr double kFarBehindSeconds = 600;
constexpr double kFirstAnswerSeconds = 60;

std::string seconds_text(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  if (seconds > 0 && seconds < 1) return cat(std::round(seconds * 1e5) / 100, " ms");
  return duration_text(static_cast<std::int64_t>(std::min(seconds, 3e9)) * kNsPerSecond);
}

std::string count_text(double count) {
  return std::isfinite(count) && count >= 0
             ? grouped(static_cast<std::uint64_t>(std::min(count, 1e18)))
             : "-";
}

std::string bytes_text(double bytes) {
  if (!std::isfinite(bytes)) return "-";
  const char* const kUnits[] = {" B", " KiB", " MiB", " GiB", " TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024;
  return cat(std::round(bytes * 10) / 10, kUnits[unit]);
}

std::string moment_text(double wall_seconds) {
  if (!std::isfinite(wall_seconds) || std::abs(wall_seconds) > 1e11) return "at an unknown time";
  const auto seconds = static_cast<std::time_t>(wall_seconds);
  std::tm local{};
  ::localtime_r(&seconds, &local);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local)};
}

/// Columns two spaces apart; the last one is as long as it is.
std::string table(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line = "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 2, ' ');
    }
    line.resize(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

/// What was lost and why: "max_age 1,200, rejected 3".
std::string drops_text(const config::Node* endpoint) {
  std::string text;
  if (const auto* drops = find_value(endpoint, "dropped_samples")) {
    for (const auto& entry : drops->entries) {
      const auto count = number_of(drops, entry.key);
      if (count > 0) text += cat(text.empty() ? "" : ", ", entry.key, " ", count_text(count));
    }
  }
  return text.empty() ? "0" : text;
}

bool fails(const config::Node* collector) {
  return is_true(collector, "has_data") && !text_of(collector, "last_error").empty();
}

/// What is wrong with an endpoint and what to do; empty: nothing.
std::string endpoint_problem(const config::Node* endpoint, const config::Node* root) {
  const auto state = text_of(endpoint, "state");
  if (state == "misconfigured") {
    return cat(
        text_of(endpoint, "summary"),
        "\n  It needs a correction: the url and the credentials in /etc/msp-agent.yaml, then "
        "`systemctl reload msp-agent`; or the centre.");
  }
  if (state == "refusing") {
    return cat(
        text_of(endpoint, "summary"),
        "\n  Look at the limits of the centre; the log names one of the series: journalctl -u "
        "msp-agent");
  }
  if (state == "retrying") {
    const auto holds = number_of(find_value(root, "buffer"), "holds_outage_seconds");
    const auto room =
        std::isfinite(holds) ? cat("; the buffer has room for about ", seconds_text(holds)) : "";
    return cat(text_of(endpoint, "summary"), "\n  The agent tries again by itself", room,
               ". Look at the network, the proxy and the centre.");
  }
  const auto running = number_of(root, "updated") - number_of(root, "started");
  if (state == "starting" && running > kFirstAnswerSeconds) {
    return cat("no answer yet from ", text_of(endpoint, "name"), ", for ", seconds_text(running),
               "\n  Look at the network, the proxy and the centre.");
  }
  const bool is_behind = number_of(endpoint, "lag_seconds") > kFarBehindSeconds;
  if (is_behind && !std::isfinite(number_of(endpoint, "drained_in_seconds"))) {
    return cat(text_of(endpoint, "name"), " takes samples, but the backlog of ",
               count_text(number_of(endpoint, "backlog_samples")),
               " does not get less\n  Look at the link and at the load of the centre.");
  }
  if (number_of(endpoint, "dropped_lately_samples") > 0) {
    return cat("samples for ", text_of(endpoint, "name"),
               " were lost in the last minute: ", drops_text(endpoint),
               " since the start\n  The log says why: journalctl -u msp-agent");
  }
  return {};
}

/// What is wrong with what the agent answers, as of `updated`.
void add_listen_problems(const config::Node* listen, double updated,
                         std::vector<std::string>& problems) {
  if (listen == nullptr) return;
  const auto address = text_of(listen, "address");
  if (!is_true(listen, "listening")) {
    problems.push_back(
        cat("it cannot listen at ", address,
            ", and tries again by itself\n  The log says why: journalctl -u msp-agent"));
  }
  if (is_true(listen, "open") && is_true(listen, "receive")) {
    problems.push_back(
        cat("whoever reaches ", address,
            " can write samples to the centre without a login\n  Set listen.clients, or let a "
            "firewall admit only those that send."));
  }
  const auto days = (number_of(listen, "certificate_expires") - updated) / 86'400;
  if (days < 14) {
    problems.push_back(days < 0 ? "the certificate of listen.tls has expired"
                                : cat("the certificate of listen.tls expires in ",
                                      seconds_text(std::floor(days * 86'400)), ": renew it"));
  }
  if (updated - number_of(listen, "loop_seen") < 600) {
    problems.push_back(
        "what this relay has sent comes back to it: the relays send to one another in a circle\n"
        "  Correct remote_write.url of one of them.");
  }
}

std::vector<std::string> problems_of(const config::Node* root) {
  std::vector<std::string> problems;
  for (const auto* endpoint : items_of(root, "endpoints")) {
    auto problem = endpoint_problem(endpoint, root);
    if (!problem.empty()) problems.push_back(std::move(problem));
    const auto clock = text_of(endpoint, "clock_problem");
    if (!clock.empty()) problems.push_back(cat(text_of(endpoint, "name"), ": ", clock));
    const auto answer = text_of(endpoint, "answer_problem");
    if (!answer.empty()) problems.push_back(cat(text_of(endpoint, "name"), ": ", answer));
  }
  const auto* buffer = find_value(root, "buffer");
  const auto path = text_of(buffer, "path");
  if (is_true(buffer, "memory_only")) {
    problems.push_back(cat("the disk of ", path,
                           " cannot be used: samples are kept in memory only\n"
                           "  Look at the mount and its permissions; the agent goes back to it by "
                           "itself."));
  }
  if (is_true(buffer, "free_space_guard")) {
    problems.push_back(cat("the disk of ", path,
                           " is nearly full: samples are kept in memory\n"
                           "  Make room on it; the agent goes back to it by itself."));
  }
  add_listen_problems(find_value(root, "listen"), number_of(root, "updated"), problems);
  for (const auto* collector : items_of(root, "collectors")) {
    if (!fails(collector)) continue;
    problems.push_back(cat("the collector ", text_of(collector, "name"),
                           " fails: ", text_of(collector, "last_error")));
  }
  for (const auto* target : items_of(root, "sources")) {
    if (is_true(target, "up") || text_of(target, "last_error").empty()) continue;
    problems.push_back(
        cat("the target ", text_of(target, "name"), " is down: ", text_of(target, "last_error")));
  }
  return problems;
}

std::string process_line(const config::Node* root) {
  const auto* process = find_value(root, "process");
  const auto customer = text_of(root, "customer_id");
  return cat("  ",
             customer.empty() ? "an exporter" : cat(customer, "/", text_of(root, "server_name")),
             ", msp-agent ", text_of(root, "version"), ", process ", text_of(root, "pid"),
             " since ", moment_text(number_of(root, "started")), ", every ",
             seconds_text(number_of(root, "interval_seconds")), ", ",
             bytes_text(number_of(process, "resident_bytes")), " of memory, ",
             seconds_text(number_of(process, "cpu_seconds")), " of CPU\n");
}

std::string endpoints_table(const config::Node* root, double wall_seconds) {
  std::vector<Row> rows = {{"STATE", "LAST 2XX", "LAG", "BACKLOG", "DRAINED IN", "DROPPED",
                            "RETRIES", "PROTOCOL", "ENDPOINT"}};
  std::string errors;
  for (const auto* endpoint : items_of(root, "endpoints")) {
    const auto last = number_of(endpoint, "last_success");
    const auto ago = seconds_text(std::max(0.0, std::floor(wall_seconds - last)));
    const auto name = text_of(endpoint, "name");
    rows.push_back(
        {text_of(endpoint, "state"), std::isfinite(last) ? ago + " ago" : "never",
         seconds_text(std::floor(number_of(endpoint, "lag_seconds"))),
         count_text(number_of(endpoint, "backlog_samples")),
         seconds_text(std::ceil(number_of(endpoint, "drained_in_seconds"))), drops_text(endpoint),
         cat(count_text(number_of(endpoint, "retries")), " of ",
             count_text(number_of(endpoint, "requests"))),
         text_of(endpoint, "protocol"),
         cat(name, is_true(endpoint, "removed") ? " (removed; what waits is delivered)" : "")});
    const auto error = text_of(endpoint, "last_error");
    if (!error.empty()) errors += cat("  last error of ", name, ": ", error, "\n");
  }
  return cat("\nEndpoints\n", table(rows), errors);
}

std::string buffer_table(const config::Node* root) {
  const auto* buffer = find_value(root, "buffer");
  const auto number = [&](std::string_view key) { return number_of(buffer, key); };
  const auto holds = number("holds_outage_seconds");
  return cat("\nBuffer ", text_of(buffer, "path"), "\n",
             table({{"ON DISK", "SEGMENTS", "MAX_SIZE", "MAX_AGE", "MIN_FREE", "DAMAGE",
                     "OUTAGE IT STILL HOLDS"},
                    {bytes_text(number("bytes")), count_text(number("segments")),
                     bytes_text(number("max_size_bytes")), seconds_text(number("max_age_seconds")),
                     bytes_text(number("min_free_bytes")), count_text(number("damaged_records")),
                     std::isfinite(holds) ? cat("about ", seconds_text(std::floor(holds)))
                                          : "as long as 4 MiB of memory last"}}));
}

std::string collectors_table(const config::Node* root) {
  std::vector<Row> rows = {{"COLLECTOR", "TOOK", "SERIES", "LAST ERROR"}};
  for (const auto* collector : items_of(root, "collectors")) {
    const auto error = text_of(collector, "last_error");
    const bool has_data = is_true(collector, "has_data");
    rows.push_back({text_of(collector, "name"),
                    seconds_text(number_of(collector, "duration_seconds")),
                    count_text(number_of(collector, "series")),
                    has_data || error.empty() ? error : cat("nothing to read here: ", error)});
  }
  return cat("\nCollectors\n", table(rows));
}

/// The exporters: every source but the two of the host.
std::vector<const config::Node*> targets_of(const config::Node* root) {
  auto targets = items_of(root, "sources");
  std::erase_if(targets, [](const config::Node* source) {
    const auto name = text_of(source, "name");
    return name == sources::kHostSource || name == sources::kCostlySource;
  });
  return targets;
}

std::string targets_table(const config::Node* root) {
  std::vector<Row> rows = {{"UP", "TOOK", "SAMPLES", "BAD LINES", "TARGET", "LAST ERROR"}};
  for (const auto* target : targets_of(root)) {
    const auto error = text_of(target, "last_error");
    rows.push_back(
        {is_true(target, "up") ? "yes" : "no", seconds_text(number_of(target, "duration_seconds")),
         count_text(number_of(target, "samples")), count_text(number_of(target, "bad_lines")),
         text_of(target, "name"), error.empty() ? text_of(target, "first_bad_line") : error});
  }
  return rows.size() == 1 ? std::string() : cat("\nTargets\n", table(rows));
}

std::string clients_table(const config::Node* listen, double wall_seconds) {
  std::vector<Row> rows = {{"LAST SEEN", "SAMPLES", "LEFT OUT", "REFUSED", "CLIENT"}};
  for (const auto* client : items_of(listen, "clients")) {
    const auto last = number_of(client, "last_seen");
    const auto name = text_of(client, "name");
    rows.push_back(
        {std::isfinite(last) ? seconds_text(std::max(0.0, std::floor(wall_seconds - last))) + " ago"
                             : "never",
         count_text(number_of(client, "samples")), count_text(number_of(client, "skipped_samples")),
         count_text(number_of(client, "refused_requests")),
         name.empty() ? "everybody, without a login" : name});
  }
  return rows.size() == 1 ? std::string() : cat("\nReceiving\n", table(rows));
}

std::string listen_table(const config::Node* root, double wall_seconds) {
  const auto* listen = find_value(root, "listen");
  if (listen == nullptr) return {};
  return cat("\nListening\n",
             table({{"CONNECTIONS", "REQUESTS", "REFUSED", "ADDRESS"},
                    {count_text(number_of(listen, "connections")),
                     count_text(number_of(listen, "requests")),
                     count_text(number_of(listen, "refused")), text_of(listen, "address")}}),
             clients_table(listen, wall_seconds));
}

std::string running_headline(const config::Node* root, bool& is_well) {
  const auto problems = problems_of(root);
  is_well = problems.empty();
  if (!is_well) {
    std::string text;
    for (const auto& problem : problems) text += problem + "\n";
    return text;
  }
  std::size_t delivering = 0;
  double drained = 0;
  for (const auto* endpoint : items_of(root, "endpoints")) {
    delivering += text_of(endpoint, "state") == "delivering" ? 1 : 0;
    const auto left = number_of(endpoint, "drained_in_seconds");
    if (number_of(endpoint, "lag_seconds") > 3 * number_of(root, "interval_seconds") &&
        std::isfinite(left)) {
      drained = std::max(drained, left);
    }
  }
  if (delivering < items_of(root, "endpoints").size()) {
    is_well = false;
    return "starting: not every endpoint has answered yet; ask again in a minute\n";
  }
  if (drained > 0) {
    return cat("all is well: a backlog is being delivered, for about ",
               seconds_text(std::ceil(drained)), " more\n");
  }
  return "all is well\n";
}

std::string hang_text(const SeenStatus& seen) {
  const auto pid = text_of(seen.root.get(), "pid");
  auto text = cat("msp-agent hangs: process ", pid, " is there, but has written no status for ",
                  seconds_text(std::floor(seen.age_seconds)), "\n");
  if (seen.process_state == 'T' || seen.process_state == 't') {
    return text + cat("  It was stopped by a signal; let it continue: kill -CONT ", pid, "\n");
  }
  if (seen.process_state == 'D') {
    text += "  It waits for a disk or a mount: look at dmesg.\n";
  }
  return text + "  Otherwise: systemctl restart msp-agent; what waits is kept.\n";
}

std::string gone_text(const SeenStatus& seen) {
  const auto* root = seen.root.get();
  const bool in_order = seen.life == Life::stopped;
  const auto at = moment_text(number_of(root, "updated"));
  auto text =
      cat("msp-agent is not running: process ", text_of(root, "pid"),
          in_order ? cat(" was stopped at ", at) : cat(" is gone; its last status is of ", at),
          "\n  Start it: systemctl start msp-agent; its log: journalctl -u msp-agent\n");
  return text + "  The tables below are of that time.\n";
}

}  // namespace

StatusText status_text(const SeenStatus& seen, double wall_seconds,
                       const std::string& journal_error) {
  StatusText text;
  const auto* root = seen.root.get();
  switch (seen.life) {
    case Life::running:
      text.headline = running_headline(root, text.is_well);
      break;
    case Life::hangs:
      text.headline = hang_text(seen);
      break;
    case Life::stopped:
    case Life::gone:
      text.headline = gone_text(seen);
      break;
    case Life::unreadable:
      text.headline = visible(seen.problem) + "\n";
      break;
    case Life::absent:
      text.headline =
          cat("msp-agent is not running, or began just now: ", visible(seen.problem),
              "\n  Start it: systemctl start msp-agent; its log: journalctl -u msp-agent\n");
      break;
  }
  if (!journal_error.empty()) {
    text.headline += cat("  The journal's last error: ", journal_error, "\n");
  }
  if (root == nullptr) return text;
  text.tables = process_line(root);
  const bool is_exporter =
      find_value(root, "listen") != nullptr && items_of(root, "endpoints").empty();
  if (!is_exporter) {
    text.tables += cat(endpoints_table(root, wall_seconds), buffer_table(root),
                       collectors_table(root), targets_table(root));
  }
  text.tables += listen_table(root, wall_seconds);
  return text;
}

}  // namespace msp::cli
