#include "agent/import/yaml_writer.h"

#include <algorithm>

#include "agent/base/text.h"
#include "agent/config/validators.h"

namespace msp::import {
namespace {

/// A Setting's text with as few '$$' as our configuration needs: '^a$$' is '^a$'.
std::string with_few_dollars(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    out += text[i];
    if (text.substr(i, 2) != "$$") continue;
    ++i;
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == '$' || next == '{') out += '$';
  }
  return out;
}

/// In single quotes, in which YAML knows no escape but the doubled quote.
std::string yaml_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

/// As it is read again, byte by byte: in single quotes, or in double ones where something in it has to
/// be written as an escape.
std::string yaml_verbatim(std::string_view text) {
  if (is_printable(text)) return yaml_quoted(text);
  std::string out = "\"";
  while (!text.empty()) {
    const auto character = text.substr(0, first_character(text).bytes);
    if (character == "\"" || character == "\\") out += '\\';
    out += visible(character);
    text.remove_prefix(character.size());
  }
  return out + "\"";
}

std::string yaml_scalar(std::string_view text) {
  constexpr std::string_view kWords[] = {"null", "true", "false", "yes", "no",
                                         "on",   "off",  "y",     "n"};
  const auto lower = lower_case(text);
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_./:${}-").find(c) != std::string_view::npos;
  };
  const bool begins_plain = !text.empty() && is_plain(text.front()) &&
                            std::string_view(".:{}-").find(text.front()) == std::string_view::npos;
  if (begins_plain && text.back() != ':' && std::all_of(text.begin(), text.end(), is_plain) &&
      std::find(std::begin(kWords), std::end(kWords), lower) == std::end(kWords)) {
    return std::string(text);
  }
  return yaml_quoted(text);
}

/// In "[a, b]" brackets have a meaning, too.
std::string yaml_in_list(std::string_view text) {
  const bool has_bracket = text.find_first_of("[]") != std::string_view::npos;
  return has_bracket ? cat("'", text, "'") : yaml_scalar(text);
}

class Writer {
 public:
  /// `env` is null where variables stay.
  Writer(const ImportedConfig& imported, const EnvFile* env) : imported_(imported), env_(env) {}

  std::string write() {
    write_identity();
    write_labels();
    if (!imported_.interval.empty()) {
      blank();
      key("", "interval", imported_.interval, "15s");
    }
    write_collectors();
    write_endpoints();
    write_scrapes();
    write_probes();
    write_listen();
    if (!imported_.relabel.empty() || !imported_.relabel_of_all.empty()) {
      blank();
      line("relabel:");
      for (const auto* const rules : {&imported_.relabel, &imported_.relabel_of_all}) {
        for (const auto& rule : *rules) write_rule(rule, "");
      }
    }
    if (!imported_.log_level.empty()) {
      blank();
      line("log:");
      key("  ", "level", imported_.log_level, "info");
    }
    return std::move(out_);
  }

 private:
  void line(std::string_view text) { out_ += cat(text, "\n"); }
  void blank() { line(""); }

  void comment(std::string_view text, std::string_view indent = "") {
    if (env_ == nullptr) line(cat(indent, "# ", text));
  }

  /// `fallback` is a value that the key accepts, for one that is not known.
  std::string value(std::string_view text, std::string_view fallback) const {
    if (env_ == nullptr) return yaml_scalar(with_few_dollars(text));
    const auto known = env_->expand(text);
    const bool is_set = known && !known->empty();  // an empty one has its note
    return yaml_scalar(with_few_dollars(escape_dollars(is_set ? *known : std::string(fallback))));
  }

  void key(std::string_view indent, std::string_view name, std::string_view text,
           std::string_view fallback) {
    if (!text.empty()) line(cat(indent, yaml_scalar(name), ": ", value(text, fallback)));
  }

  /// What is not known is left for a person, and refused until then.
  void key_or_blank(std::string_view indent, std::string_view name, std::string_view text,
                    std::string_view fallback) {
    if (!text.empty()) return key(indent, name, text, fallback);
    if (env_ != nullptr) return line(cat(indent, yaml_scalar(name), ": ", fallback));
    line(cat(indent, yaml_scalar(name), ": \"\"   # FILL IN"));
  }

  void write_identity() {
    comment("Who the server belongs to, on every sample.");
    if (imported_.customer_id) {
      key("", "customer_id", imported_.customer_id->text, "customer");
    } else {
      line(env_ != nullptr ? "customer_id: customer"
                           : "customer_id: \"\"   # FILL IN: 1 to 63 characters a-z, A-Z, 0-9, '-' "
                             "and '_'");
    }
    if (imported_.server_name) {
      key("", "server_name", imported_.server_name->text, "server");
    } else {
      comment("server_name is the host's name.");
    }
    if (imported_.environment) key("", "environment", imported_.environment->text, "environment");
  }

  void write_labels() {
    if (imported_.labels.empty()) return;
    blank();
    comment("On every sample as well.");
    line("labels:");
    for (const auto& label : imported_.labels) key("  ", label.name, label.text, "value");
  }

  static std::string list(const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += cat(text.empty() ? "" : ", ", name);
    return cat("[", text, "]");
  }

  void write_collectors() {
    const bool has_options =
        std::any_of(imported_.collector_options.begin(), imported_.collector_options.end(),
                    [](const auto& entry) { return !entry.second.empty(); });
    const bool has_groups = !imported_.process_groups.empty();
    if (!imported_.enabled && imported_.disabled.empty() && !has_options && !has_groups) return;
    blank();
    line("collectors:");
    auto enabled = imported_.enabled.value_or(std::vector<std::string>{});
    if (has_groups) {
      if (!imported_.enabled) line("  preset: standard");
      enabled.emplace_back("process_groups");
    }
    if (!enabled.empty()) line(cat("  enabled: ", list(enabled)));
    if (!imported_.disabled.empty()) line(cat("  disabled: ", list(imported_.disabled)));
    for (const auto& [collector, options] : imported_.collector_options) {
      if (options.empty()) continue;
      line(cat("  ", collector, ":"));
      for (const auto& [name, text] : options) {
        if (name == "directories") {
          line(cat("    ", name, ": [", value(text, "/folder"), "]"));
        } else if (text.empty()) {
          line(cat("    ", name, ": ''"));
        } else {
          key("    ", name, text, name == "mount_timeout" ? "5s" : "x");
        }
      }
    }
    if (has_groups) write_process_groups();
  }

  void write_process_groups() {
    line("  process_groups:");
    line("    groups:");
    for (const auto& [at, name, comm, exe, cmdline] : imported_.process_groups) {
      comment(one_line(at.to_string()), "      ");
      std::string first = "      - ";
      const auto add = [&](std::string_view key, std::string_view text) {
        line(cat(first, key, ": ", text));
        first = "        ";
      };
      if (!name.empty()) add("name", value(name, "x"));
      if (!comm.empty()) add("comm", quoted_list(comm, false));
      if (!exe.empty()) add("exe", quoted_list(exe, false));
      std::string expressions;
      for (const auto& one : cmdline) {
        expressions += cat(expressions.empty() ? "" : ", ", yaml_quoted(one));
      }
      if (!cmdline.empty()) add("cmdline", cat("[", expressions, "]"));
    }
  }

  void write_endpoints() {
    blank();
    line("remote_write:");
    int number = 0;
    for (const auto& endpoint : imported_.endpoints) {
      comment(cat(one_line(endpoint.at.to_string()), ": ", one_line(endpoint.title)), "  ");
      if (imported_.endpoints.size() == 1) {
        write_endpoint(endpoint, "  ", "  ", ++number);
      } else {
        write_endpoint(endpoint, "  - ", "    ", ++number);
      }
    }
  }

  void write_endpoint(const ImportedEndpoint& endpoint, std::string_view first,
                      std::string_view indent, int number) {
    key_or_blank(first, "url", endpoint.url, cat("https://endpoint-", number, ".example.com/"));
    write_http(endpoint, indent);
    key(indent, "proxy_url", endpoint.proxy_url, "http://proxy.example.com:3128");
    if (!endpoint.no_proxy.empty()) {
      std::vector<std::string> places;
      for (const auto& place : endpoint.no_proxy) places.push_back(yaml_in_list(place));
      line(cat(indent, "no_proxy: ", list(places)));
    }
    key(indent, "timeout", endpoint.timeout, "10s");
    write_rules(endpoint.relabel, indent);
  }

  /// Rules have no variables: '$' is a '$' in them.
  void write_rules(const ImportedRules& rules, std::string_view indent) {
    if (rules.empty()) return;
    line(cat(indent, "relabel:"));
    for (const auto& rule : rules) write_rule(rule, indent);
  }

  void write_rule(const ImportedRule& imported, std::string_view indent) {
    const auto& rule = imported.rule;
    auto text = cat("action: ", metrics::kRelabelActions[static_cast<std::size_t>(rule.action)]);
    const auto add = [&](std::string_view name, const std::optional<std::string>& value) {
      if (value) text += cat(", ", name, ": ", yaml_quoted(*value));
    };
    if (!rule.source_labels.empty()) text += cat(", source_labels: ", list(rule.source_labels));
    add("separator", rule.separator);
    add("regex", rule.regex);
    add("target_label", rule.target_label);
    add("replacement", rule.replacement);
    if (rule.modulus != 0) text += cat(", modulus: ", rule.modulus);
    line(cat(indent, "  - {", text, "}"));
  }

  void write_scrapes() {
    if (imported_.scrapes.empty()) return;
    blank();
    line("scrape:");
    for (const auto& scrape : imported_.scrapes) {
      write_origin(scrape);
      key("  - ", "job", scrape.job, "job");
      line(cat("    targets: ", quoted_list(scrape.targets, true)));
      write_times(scrape);
      key("    ", "body_max", scrape.body_max, "1MiB");
      key("    ", "series_max", scrape.series_max, "1");
      if (scrape.honor_labels) line("    honor_labels: true");
      if (scrape.honor_timestamps) line("    honor_timestamps: true");
      write_http(scrape, "    ");
      write_labels_of(scrape);
      write_rules(scrape.relabel, "    ");
    }
  }

  void write_probes() {
    if (imported_.probes.empty()) return;
    blank();
    line("probes:");
    for (const auto& probe : imported_.probes) {
      write_origin(probe);
      line(cat("  - name: ", yaml_scalar(probe.name)));
      key("    ", "job", probe.job, "job");
      key("    ", "target", probe.target, cat("target-", ++number_, ".example.com:80"));
      write_times(probe);
      for (const auto& [name, texts, form] : probe.keys) {
        using Form = ImportedProbe::Key::Form;
        line(cat("    ", name, ": ",
                 form == Form::list   ? quoted_list(texts, false)
                 : form == Form::word ? texts.front()
                                      : value(texts.front(), "x")));
      }
      write_dialog(probe.query_response);
      for (const auto& records : probe.records) {
        line(cat("    ", records.name, ":"));
        for (const auto& [name, expressions] : records.expressions) {
          std::vector<std::string> texts;
          for (const auto& one : expressions) texts.push_back(yaml_verbatim(one));
          line(cat("      ", name, ": ", list(texts)));
        }
      }
      write_http(probe, "    ");
      write_labels_of(probe);
    }
  }

  void write_dialog(const std::vector<ImportedProbe::Step>& steps) {
    if (!steps.empty()) line("    query_response:");
    for (const auto& step : steps) {
      std::string first = "      - ";
      const auto add = [&](std::string_view text) {
        line(cat(first, text));
        first = "        ";
      };
      if (!step.expect.empty()) add(cat("expect: ", yaml_verbatim(step.expect)));
      if (!step.send.empty()) add(cat("send: ", yaml_verbatim(step.send)));
      if (step.starts_tls) add("starttls: true");
      if (!step.labels.empty()) add("labels:");
      for (const auto& [name, text] : step.labels) {
        line(cat("          - {name: ", yaml_scalar(name), ", value: ", yaml_verbatim(text), "}"));
      }
    }
  }

  /// Without the host's own metrics, which the other agent's port did not have either.
  void write_listen() {
    if (!imported_.listen) return;
    const auto& listen = *imported_.listen;
    blank();
    line("listen:");
    comment(cat(one_line(listen.at.to_string()), ": ", one_line(listen.title)), "  ");
    key_or_blank("  ", "address", listen.address, "127.0.0.1:9999");
    line("  receive: true");
    line("  metrics: false");
    if (!listen.has_tls) return;
    line("  tls:");
    key_or_blank("    ", "cert_file", listen.cert_file, "/file");
    key_or_blank("    ", "key_file", listen.key_file, "/file");
    if (listen.needs_certificates)
      key_or_blank("    ", "client_ca_file", listen.client_ca_file, "/file");
  }

  void write_origin(const ImportedTarget& target) {
    comment(cat(one_line(target.at.to_string()), ": ", one_line(target.title)), "  ");
  }

  void write_times(const ImportedTarget& target) {
    key("    ", "interval", target.interval, "15s");
    key("    ", "timeout", target.timeout, "1s");
  }

  void write_labels_of(const ImportedTarget& target) {
    if (!target.labels.empty()) line("    labels:");
    for (const auto& label : target.labels) {
      if (label.text.empty()) {
        line(cat("      ", yaml_scalar(label.name), ": ''"));
      } else {
        key("      ", label.name, label.text, cat("value-", ++number_));
      }
    }
  }

  std::string quoted_list(const std::vector<std::string>& texts, bool are_targets) {
    std::string out;
    for (const auto& text : texts) {
      const auto one =
          value(text, are_targets ? cat("target-", ++number_, ".example.com:80") : "x");
      out += cat(out.empty() ? "" : ", ", one.starts_with('\'') ? one : yaml_quoted(one));
    }
    return cat("[", out, "]");
  }

  void write_http(const ImportedHttp& endpoint, std::string_view indent) {
    const auto inner = cat(indent, "  ");
    if (endpoint.has_login) {
      line(cat(indent, "basic_auth:"));
      key_or_blank(inner, "username", endpoint.username, "user");
      if (endpoint.password_file.empty()) {
        key_or_blank(inner, "password", endpoint.password, "secret");
      }
      key(inner, "password_file", endpoint.password_file, "/file");
    }
    if (endpoint.has_bearer && endpoint.bearer_token_file.empty()) {
      key_or_blank(indent, "bearer_token", endpoint.bearer_token, "secret");
    }
    key(indent, "bearer_token_file", endpoint.bearer_token_file, "/file");
    if (!endpoint.headers.empty()) line(cat(indent, "headers:"));
    for (const auto& [name, text] : endpoint.headers) key_or_blank(inner, name, text, "value");
    if (!endpoint.ca_file.empty() || !endpoint.cert_file.empty() || !endpoint.server_name.empty() ||
        endpoint.insecure_skip_verify) {
      line(cat(indent, "tls:"));
      key(inner, "ca_file", endpoint.ca_file, "/file");
      key(inner, "cert_file", endpoint.cert_file, "/file");
      key(inner, "key_file", endpoint.key_file, "/file");
      key(inner, "server_name", endpoint.server_name, "host.example.com");
      if (endpoint.insecure_skip_verify) line(cat(inner, "insecure_skip_verify: true"));
    }
  }

  const ImportedConfig& imported_;
  const EnvFile* env_;
  int number_ = 0;  // of the values that stand for what is not known: each is another one
  std::string out_;
};

/// A file of ours holds 1 MiB; the notes leave room for the rest.
constexpr std::size_t kNotesBytesMax = 512 << 10;

void write_notes(const std::vector<Note>& notes, Note::Kind kind, std::string_view heading,
                 std::string& out) {
  std::size_t left = 0;
  bool is_first = true;
  for (const auto& note : notes) {
    if (note.kind != kind) continue;
    if (is_first) out += cat("\n# ", heading, "\n");
    is_first = false;
    if (out.size() < kNotesBytesMax) {
      out += cat("#   ", note.place(), note.text, "\n");
    } else {
      ++left;
    }
  }
  if (left > 0) out += cat("#   and ", left, " more, which stderr has named\n");
}

}  // namespace

std::string write_yaml(const ImportedConfig& imported, std::string_view from,
                       const std::vector<Note>& notes) {
  auto text =
      cat("# ", one_line(from), "\n",
          "# Every key and its default: etc/msp-agent.yaml, which comes with the agent.\n\n");
  text += Writer(imported, nullptr).write();
  write_notes(notes, Note::Kind::to_do, "To do before msp-agent can run with it:", text);
  write_notes(notes, Note::Kind::left_out, "Not carried over:", text);
  write_notes(notes, Note::Kind::different, "Different, or not needed:", text);
  return text;
}

std::string write_yaml_to_check(const ImportedConfig& imported, const EnvFile& env) {
  return Writer(imported, &env).write();
}

}  // namespace msp::import
