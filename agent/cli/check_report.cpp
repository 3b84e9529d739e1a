#include "agent/cli/check_report.h"

#include <algorithm>
#include <cstdio>

#include "agent/base/text.h"

namespace msp {
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

std::string json_bool(bool value) {
  return value ? "true" : "false";
}

std::string json_of(const Step& step) {
  auto text =
      cat("{\"step\":", json_text(step.name), ",\"result\":", json_text(verdict_name(step.verdict)),
          ",\"text\":", json_text(step.text));
  if (step.took_us) {
    const auto us = *step.took_us % 1000;
    text += cat(",\"milliseconds\":", *step.took_us / 1000, ".", us < 100 ? "0" : "",
                us < 10 ? "0" : "", us);
  }
  for (const auto& [name, value] : step.facts) {
    text += cat(",", json_text(name), ":");
    if (const auto* const number = std::get_if<std::int64_t>(&value)) {
      text += cat(*number);
    } else {
      text += json_text(std::get<std::string>(value));
    }
  }
  return text + "}";
}

std::string json_of(const std::vector<Step>& steps) {
  std::string text;
  for (const auto& step : steps) text += cat(text.empty() ? "" : ",", json_of(step));
  return cat("\"ok\":", json_bool(!any_failed(steps)), ",\"steps\":[", text, "]");
}

std::string json_of(const ConfigError& error) {
  return cat("{\"line\":", error.line, ",\"column\":", error.column,
             ",\"text\":", json_text(error.text), "}");
}

}  // namespace

std::string json_text(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string utf8(text);
  make_utf8(utf8);
  std::string quoted = "\"";
  for (const char c : utf8) {
    if (c == '"' || c == '\\') {
      quoted += cat('\\', c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      quoted += cat("\\u00", kHex[static_cast<unsigned char>(c) / 16],
                    kHex[static_cast<unsigned char>(c) % 16]);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

void CheckReport::add_config(const Config& config, std::vector<ConfigError> errors) {
  errors_ = std::move(errors);
  if (!errors_.empty()) return;
  customer_id_ = config.customer_id;
  server_name_ = config.server_name;
  if (form_ == Form::json) return;
  std::puts(cat("OK: ", file_, ": ", customer_id_, "/", server_name_).c_str());
}

void CheckReport::begin_endpoint(const std::string& url) {
  parts_.push_back({url, {}});
  if (form_ == Form::text) std::puts(url.c_str());
  std::fflush(stdout);
}

void CheckReport::begin_host() {
  parts_.push_back({});
  if (form_ == Form::text) std::puts("this host");
}

void CheckReport::add(Step step) {
  if (form_ == Form::text) std::puts(line_of(step).c_str());
  std::fflush(stdout);
  parts_.back().steps.push_back(std::move(step));
}

bool CheckReport::failed() const {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return any_failed(part.steps); });
}

std::string CheckReport::json() const {
  std::string errors;
  for (const auto& error : errors_) errors += cat(errors.empty() ? "" : ",", json_of(error));
  std::string endpoints;
  std::string host = json_of(std::vector<Step>{});
  for (const auto& part : parts_) {
    if (part.url.empty()) {
      host = json_of(part.steps);
    } else {
      endpoints += cat(endpoints.empty() ? "" : ",", "{\"url\":", json_text(part.url), ",",
                       json_of(part.steps), "}");
    }
  }
  return cat("{\"ok\":", json_bool(errors_.empty() && !failed()), ",\"version\":\"",
             MSP_AGENT_VERSION, "\",\"config\":{\"file\":", json_text(file_),
             ",\"ok\":", json_bool(errors_.empty()), ",\"customer_id\":", json_text(customer_id_),
             ",\"server_name\":", json_text(server_name_), ",\"errors\":[", errors,
             "]},\"endpoints\":[", endpoints, "],\"host\":{", host, "}}");
}

bool CheckReport::finish() {
  std::size_t counts[4] = {};
  for (const auto& part : parts_) {
    for (const auto& step : part.steps) ++counts[static_cast<std::size_t>(step.verdict)];
  }
  if (form_ == Form::json) {
    std::puts(json().c_str());
  } else if (!parts_.empty()) {
    std::puts(
        cat(counts[3], " failed, ", counts[2], " to look at, ", counts[0] + counts[1], " fine")
            .c_str());
  }
  return std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
}

}  // namespace msp
