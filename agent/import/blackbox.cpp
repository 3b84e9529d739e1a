#include "agent/import/blackbox.h"

#include <algorithm>

#include "agent/base/text.h"
#include "agent/config/probe_target.h"
#include "agent/config/quantity.h"
#include "agent/import/http_settings.h"
#include "agent/import/relabel_rule.h"

namespace msp::import {
namespace {

constexpr auto kDifferent = Note::Kind::different;
constexpr auto kLeftOut = Note::Kind::left_out;

constexpr Explanation kKeys[] = {
    {"enable_http2", kDifferent, "not needed: a probe uses HTTP/1.1"},
    {"enable_http3", kDifferent, "not needed: a probe uses HTTP/1.1"},
    {"ip_protocol_fallback", kDifferent,
     "a name that has no address of the preferred kind is probed at one of the other"},
    {"proxy_url", kLeftOut, "a probe uses no proxy"},
    {"oauth2", kLeftOut, kNoLogin},
};

/// Without these a probe would see less than before.
constexpr std::string_view kChecks[] = {"fail_if_header_matches",
                                        "fail_if_header_not_matches",
                                        "fail_if_body_json_matches_cel",
                                        "fail_if_body_json_not_matches_cel",
                                        "valid_http_versions",
                                        "ttl",
                                        "dont_fragment",
                                        "payload_size",
                                        "body_file",
                                        "dns_over_tls"};

constexpr std::string_view kRecords[] = {"validate_answer_rrs", "validate_authority_rrs",
                                         "validate_additional_rrs"};
constexpr std::string_view kExpressions[] = {"fail_if_matches_regexp", "fail_if_not_matches_regexp",
                                             "fail_if_none_matches_regexp"};

/// Reads what a module wants of a dialog, or of the records of an answer. All of it is kept, or the
/// module is not: a probe that expects less than before would say that all is well.
class ExpectationReader {
 public:
  /// Empty where everything was read.
  const std::string& problem() const { return problem_; }

  std::vector<ImportedProbe::Step> steps(const Setting& list) {
    std::vector<ImportedProbe::Step> steps;
    if (!is(list, Setting::Kind::list)) return steps;
    for (const auto& item : list.items) {
      auto step = step_of(item);
      if (step.expect.empty()) step.labels.clear();  // it has nothing to take them from
      if (!step.expect.empty() || !step.send.empty() || step.starts_tls) {
        steps.push_back(std::move(step));
      }
    }
    return steps;
  }

  ImportedProbe::Records records(std::string_view name, const Setting& mapping) {
    ImportedProbe::Records records{.name = name};
    if (!is(mapping, Setting::Kind::mapping)) return records;
    for (const auto& [key, at, value] : mapping.entries) {
      if (is_empty(value)) continue;
      const auto* const known = std::ranges::find(kExpressions, key);
      if (known == std::end(kExpressions)) {
        fail(cat("msp-agent has no ", key));
      } else if (is(value, Setting::Kind::list)) {
        std::vector<std::string> texts;
        for (const auto& item : value.items) texts.push_back(text(item));
        records.expressions.emplace_back(*known, std::move(texts));
      }
    }
    return records;
  }

 private:
  ImportedProbe::Step step_of(const Setting& mapping) {
    ImportedProbe::Step step;
    if (!is(mapping, Setting::Kind::mapping)) return step;
    for (const auto& [key, at, value] : mapping.entries) {
      if (is_empty(value)) continue;
      if (key == "expect") {
        step.expect = text(value);
        if (step.expect.empty()) step.expect = '^';  // any line; ours has an empty one for none
      } else if (key == "send") {
        step.send = text(value);
      } else if (key == "starttls") {
        step.starts_tls = flag(value);
      } else if (key == "labels" && is(value, Setting::Kind::list)) {
        for (const auto& label : value.items) step.labels.push_back(label_of(label));
      } else {
        fail(cat("msp-agent has no ", key));
      }
    }
    return step;
  }

  std::pair<std::string, std::string> label_of(const Setting& mapping) {
    std::pair<std::string, std::string> label;
    if (!is(mapping, Setting::Kind::mapping)) return label;
    for (const auto& [key, at, value] : mapping.entries) {
      if (key != "name" && key != "value") {
        fail(cat("msp-agent has no ", key));
      } else if (!is_empty(value)) {
        (key == "name" ? label.first : label.second) = text(value);
      }
    }
    return label;
  }

  std::string text(const Setting& setting) {
    auto text = without_variables(setting.text);
    if (setting.is(Setting::Kind::text) && text && is_utf8(*text)) return std::move(*text);
    fail("a value in it is no plain text");
    return {};
  }

  bool flag(const Setting& setting) {
    const auto word = lower_case(text(setting));
    if (is_one_of(word, {"true", "yes", "on", "y"})) return true;
    if (!is_one_of(word, {"false", "no", "off", "n"})) fail("starttls is neither true nor false");
    return false;
  }

  static bool is_empty(const Setting& setting) {
    return setting.is(Setting::Kind::empty) ||
           (setting.is(Setting::Kind::list) && setting.items.empty());
  }

  bool is(const Setting& setting, Setting::Kind kind) {
    if (!setting.is(kind)) fail("a value in it is of another kind than blackbox_exporter's");
    return setting.is(kind);
  }

  void fail(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }

  std::string problem_;
};

/// What prober a module has that nothing is known of but its name, as blackbox_exporter is shipped.
std::string_view shipped_prober(std::string_view module) {
  if (module == "http_2xx" || module == "http_post_2xx") return "http";
  if (module == "tcp_connect") return "tcp";
  return module == "icmp" ? "icmp" : "";
}

const Setting* modules_of(const ForeignProbe& probe, const ConvertContext& context) {
  if (probe.configuration != nullptr) return probe.configuration->find("modules");
  for (const auto& file : context.named_files) {
    if (const auto* const modules = file.root.find("modules")) return modules;
  }
  return nullptr;
}

class ModuleReader {
 public:
  ModuleReader(MappingReader settings, ImportedProbe& out)
      : settings_(std::move(settings)), out_(out) {}

  MappingReader& settings() { return settings_; }
  void add(std::string_view name, std::string word) {
    out_.keys.push_back({name, {std::move(word)}, ImportedProbe::Key::Form::word});
  }

  void text(std::string_view key) {
    if (auto text = settings_.text(key); text && !text->empty()) {
      out_.keys.push_back({key, {std::move(*text)}});
    }
  }
  void list(std::string_view key) {
    if (auto texts = settings_.texts(key); !texts.empty()) {
      out_.keys.push_back({key, std::move(texts), ImportedProbe::Key::Form::list});
    }
  }
  bool flag(std::string_view key) { return settings_.text(key) == "true"; }

 private:
  MappingReader settings_;
  ImportedProbe& out_;
};

void read_http_module(ModuleReader& module, ImportedProbe& out) {
  auto& settings = module.settings();
  module.text("method");
  module.text("body");
  for (const auto* const key :
       {"valid_status_codes", "fail_if_body_matches_regexp", "fail_if_body_not_matches_regexp"}) {
    module.list(key);
  }
  for (const auto* const key : {"fail_if_ssl", "fail_if_not_ssl"}) {
    if (module.flag(key)) module.add(key, "true");
  }
  const bool follows = settings.text("follow_redirects") != "false";
  if (module.flag("no_follow_redirects") || !follows) module.add("follow_redirects", "false");
  if (const auto size = settings.text("body_size_limit"); size && *size != "0") {
    const auto bytes = foreign_size(*size);
    constexpr std::uint64_t kMax = 16 << 20;
    if (!bytes || *bytes > kMax) {
      settings.different("body_size_limit", "at most 16MiB of a body are read");
    }
    module.add("body_max",
               config::size_words(std::clamp<std::uint64_t>(bytes.value_or(kMax), 1 << 10, kMax)));
  }
  read_login(settings, out);
}

}  // namespace

std::optional<ImportedProbe> convert_probe(const ForeignProbe& probe, const ImportedTarget& common,
                                           ConvertContext& context, std::string& why) {
  const std::string_view name = probe.module.empty() ? "http_2xx" : std::string_view(probe.module);
  const auto* const modules = modules_of(probe, context);
  const auto* const module = modules == nullptr ? nullptr : modules->find(name);
  MappingReader part(module, cat("module ", quoted(name)), context);
  const bool is_shipped = modules == nullptr && probe.configuration == nullptr;
  const auto prober =
      is_shipped ? std::string(shipped_prober(name)) : part.text("prober").value_or("");
  if (!is_one_of(prober, {"http", "tcp", "icmp", "dns"})) {
    why = !prober.empty() ? cat("msp-agent has no probe with the prober ", quoted(prober))
          : is_shipped    ? std::string(
                                "what it does is in blackbox_exporter's configuration: name "
                                   "that file behind this one, and convert again")
                       : std::string("blackbox_exporter's configuration has no such module");
    return std::nullopt;
  }
  const auto* const settings = module == nullptr ? nullptr : module->find(prober);
  for (const auto key : kChecks) {
    const auto* const value = settings == nullptr ? nullptr : settings->find(key);
    if (value == nullptr || (value->items.empty() && value->text.empty())) continue;
    if (value->text == "false") continue;
    why = cat("msp-agent has no ", key);
    return std::nullopt;
  }
  ImportedProbe out;
  const auto set = [&](std::string_view key) -> const Setting* {
    const auto* const value = settings == nullptr ? nullptr : settings->find(key);
    return value == nullptr || value->is(Setting::Kind::empty) ? nullptr : value;
  };
  ExpectationReader expectations;
  if (const auto* const list = set("query_response")) {
    out.query_response = expectations.steps(*list);
  }
  for (const auto key : kRecords) {
    if (const auto* const mapping = set(key)) {
      out.records.push_back(expectations.records(key, *mapping));
    }
  }
  if (why = expectations.problem(); !why.empty()) return std::nullopt;
  std::erase_if(out.records, [](const auto& records) { return records.expressions.empty(); });
  const auto is_http = prober == "http";
  if (const auto known = context.env.expand(probe.target);
      known && !config::is_probe_target(*known, is_http           ? config::ProbeModule::http
                                                : prober == "tcp" ? config::ProbeModule::tcp
                                                : prober == "dns" ? config::ProbeModule::dns
                                                                  : config::ProbeModule::icmp)) {
    why = "no target of such a probe";
    return std::nullopt;
  }
  if (is_shipped) {
    context.notes.different(
        common.at, cat("module ", quoted(name), ": taken as blackbox_exporter is shipped; if its ",
                       "configuration says otherwise, name that file behind this one, and convert "
                       "again"));
  }
  out.at = common.at;
  out.title = common.title;
  out.job = common.job;
  out.interval = common.interval;
  out.timeout = common.timeout;
  out.target = probe.target;
  for (const auto* const other : {"prober", "http", "tcp", "icmp", "dns", "grpc", "unix"})
    part.find(other);
  if (const auto timeout = part.duration("timeout", "probes.timeout")) {
    const auto own = config::parse_duration(*timeout);
    const auto of_scrape = config::parse_duration(common.timeout);
    const auto interval = config::parse_duration(common.interval);
    const auto least = of_scrape ? of_scrape : interval;
    if (!own || !least || *own < *least) out.timeout = *timeout;
  }
  ModuleReader reader(part.part(prober), out);
  reader.add("module", prober);
  if (is_shipped && name == "http_post_2xx") reader.add("method", "POST");
  if (const auto family = reader.settings().text("preferred_ip_protocol");
      family && is_one_of(*family, {"ip4", "ip6"})) {
    reader.add("preferred_ip_protocol", *family);
  }
  bool has_tls = is_http;
  if (is_http) {
    read_http_module(reader, out);
  } else if (prober == "tcp") {
    const bool begins_tls = reader.flag("tls");
    const bool starts_tls =
        std::ranges::any_of(out.query_response, [](const auto& step) { return step.starts_tls; });
    if (begins_tls && starts_tls) {
      why = "msp-agent has no starttls on a connection that has TLS already";
      return std::nullopt;
    }
    if (begins_tls) reader.add("use_tls", "true");
    has_tls = begins_tls || starts_tls;
  } else if (prober == "dns") {
    for (const auto* const key : {"query_name", "query_type", "transport_protocol"}) {
      reader.text(key);
    }
    if (reader.settings().text("recursion_desired") == "false") {
      reader.add("recursion_desired", "false");
    }
    reader.list("valid_rcodes");
  }
  for (const auto key : kRecords) reader.settings().find(key);
  reader.settings().find("query_response");
  reader.settings().find("dns_over_tls");
  if (has_tls) read_http(reader.settings(), context, out, HeadersOf::probe);
  if (!probe.host.empty() && is_http) {
    std::erase_if(out.headers,
                  [](const auto& header) { return lower_case(header.first) == "host"; });
    out.headers.emplace_back("Host", probe.host);
  }
  reader.settings().finish(kKeys);
  part.finish();
  return out;
}

std::string probe_name(std::string_view wanted, const std::list<ImportedProbe>& others) {
  constexpr std::size_t kBytesMax = 60;
  std::string name;
  for (const char c : wanted) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '.' || c == '_';
    if (name.size() < kBytesMax && (is_plain || !name.ends_with('-'))) name += is_plain ? c : '-';
  }
  const auto is_taken = [&](std::string_view candidate) {
    return std::ranges::any_of(others, [&](const auto& other) { return other.name == candidate; });
  };
  auto unique = name;
  for (int number = 2; is_taken(unique); ++number) unique = cat(name, "-", number);
  return unique;
}

}  // namespace msp::import
