// What `msp-agent check` found: steps, of each endpoint and of the host. As text each step is a
// line on stdout as soon as it is known; as JSON all of it is one object, on one line at the end,
// whose keys stay. Neither shows a secret of the configuration or an unprintable character,
// whatever a step quotes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/config/config.h"

namespace msp::cli {

enum class Verdict { ok, note, warning, failed };

struct Step {
  std::string name;  // "dns"
  Verdict verdict = Verdict::ok;
  std::string text = {};                     // one line, what to do included
  std::optional<std::int64_t> took_us = {};  // where it makes sense to say
  // For programs, beside the text: {"days_left", 61}.
  using Fact = std::pair<std::string, std::variant<std::int64_t, std::string>>;
  std::vector<Fact> facts = {};
};

class CheckReport {
 public:
  enum class Form { text, json };

  /// `file` is the configuration's.
  CheckReport(Form form, std::string file) : form_(form), file_(std::move(file)) {}

  /// Of what the file holds; `errors` as they are told on stderr.
  void add_config(const config::Config& config, std::vector<config::ConfigError> errors);

  // The steps that follow are of this endpoint, of this target, or of the host.
  void begin_endpoint(const std::string& url);
  void begin_target(const std::string& name);
  void begin_host();
  void add(Step step);

  bool failed() const;
  /// The last line, or the object. False where stdout cannot be written to.
  bool finish();

 private:
  struct Part {
    std::string url;  // or a target's name; empty: the host
    std::vector<Step> steps;
    bool is_target = false;
  };

  void begin(const std::string& name, bool is_target);
  std::string json() const;

  Form form_;
  std::string file_;
  std::string customer_id_;
  std::string server_name_;
  std::vector<config::ConfigError> errors_;
  std::vector<Part> parts_;
};

}  // namespace msp::cli
