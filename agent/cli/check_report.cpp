#include "agent/cli/check_report.h"

#include <algorithm>
#include <cstdio>

#include "agent/base/json.h"
#include "agent/base/log.h"
#include "agent/base/redact.h"
#include "agent/base/text.h"

namespace msp::cli {
namespace {

std::string_view verdict_name(Verdict verdict) {
  constexpr std::string_view kNames[] = {"ok", "note", "warning", "failed"};
  return kNames[static_cast<std::size_t>(verdict)];
}

bool any_failed(const std::vector<Step>& steps) {
  return std::any_of(steps.begin(), steps.end(),
                     [](const Step& step) { return step.verdict == Verdict::failed; });
}

std::string padded(std::string_view text, std::size_t width) {
  return cat(text, std::string(width - std::min(width, text.size()), ' '));
}

/// "0.4 ms", "12 ms", "1200 ms".
std::string milliseconds(std::int64_t us) {
  if (us >= 10'000) return cat((us + 500) / 1000, " ms");
  const auto tenths = (us + 50) / 100;
  return cat(tenths / 10, ".", tenths % 10, " ms");
}

std::string line_of(const Step& step) {
  return cat("  ", padded(verdict_name(step.verdict), 8), padded(step.name, 11),
             padded(step.took_us ? milliseconds(*step.took_us) : "", 9), step.text);
}

void add_steps(const std::vector<Step>& steps, JsonWriter& out) {
  out.add("ok", !any_failed(steps));
  out.open_list("steps");
  for (const auto& step : steps) {
    out.open_object();
    out.add("step", step.name);
    out.add("result", verdict_name(step.verdict));
    out.add("text", step.text);
    if (step.took_us) out.add("milliseconds", static_cast<double>(*step.took_us) / 1000);
    for (const auto& [name, value] : step.facts) {
      std::visit([&](const auto& fact) { out.add(name, fact); }, value);
    }
    out.close();
  }
  out.close();
}

}  // namespace

void CheckReport::add_config(const config::Config& config,
                             std::vector<config::ConfigError> errors) {
  errors_ = std::move(errors);
  if (!errors_.empty()) return;
  customer_id_ = config.customer_id;
  server_name_ = config.server_name;
  if (form_ == Form::json) return;
  const auto what = config.endpoints.empty() ? cat("an exporter at ", config.listen.address)
                                             : cat(customer_id_, "/", server_name_);
  std::puts(log_text(cat("OK: ", file_, ": ", what)).c_str());
}

void CheckReport::begin_endpoint(const std::string& url) {
  begin(url, false);
}

void CheckReport::begin_target(const std::string& name) {
  begin(name, true);
}

void CheckReport::begin(const std::string& name, bool is_target) {
  parts_.push_back({name, {}, is_target});
  if (form_ == Form::text) std::puts(log_text(name).c_str());
  std::fflush(stdout);
}

void CheckReport::begin_host() {
  parts_.push_back({});
  if (form_ == Form::text) std::puts("this host");
}

void CheckReport::add(Step step) {
  step.text = redact(step.text);
  for (auto& [name, value] : step.facts) {
    if (auto* const text = std::get_if<std::string>(&value)) *text = redact(*text);
  }
  if (form_ == Form::text) std::puts(visible(line_of(step)).c_str());
  std::fflush(stdout);
  parts_.back().steps.push_back(std::move(step));
}

bool CheckReport::failed() const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return any_failed(part.steps); });
}

std::string CheckReport::json() const {
  JsonWriter out(JsonWriter::Layout::one_line);
  out.add("ok", errors_.empty() && !failed());
  out.add("version", MSP_AGENT_VERSION);
  out.open_object("config");
  out.add("file", file_);
  out.add("ok", errors_.empty());
  out.add("customer_id", customer_id_);
  out.add("server_name", server_name_);
  out.open_list("errors");
  for (const auto& error : errors_) {
    out.open_object();
    out.add("line", error.line);
    out.add("column", error.column);
    out.add("text", redact(error.text));
    out.close();
  }
  out.close();
  out.close();
  std::vector<Step> host;
  for (const bool is_target : {false, true}) {
    out.open_list(is_target ? "targets" : "endpoints");
    for (const auto& part : parts_) {
      if (part.url.empty()) host = part.steps;
      if (part.url.empty() || part.is_target != is_target) continue;
      out.open_object();
      out.add(is_target ? "name" : "url", redact(part.url));
      add_steps(part.steps, out);
      out.close();
    }
    out.close();
  }
  out.open_object("host");
  add_steps(host, out);
  return out.finish();
}

bool CheckReport::finish() {
  std::size_t counts[4] = {};
  for (const auto& part : parts_) {
    for (const auto& step : part.steps) ++counts[static_cast<std::size_t>(step.verdict)];
  }
  if (form_ == Form::json) {
    std::fputs(json().c_str(), stdout);
  } else if (!parts_.empty()) {
    std::puts(cat(counts[3], " failed, ", counts[2], counts[2] == 1 ? " warning, " : " warnings, ",
                  counts[0] + counts[1], " ok")
                  .c_str());
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace msp::cli
