#include "agent/import/conversion.h"

#include <algorithm>
#include <array>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/config/document.h"
#include "agent/config/snippet.h"
#include "agent/config/validators.h"
#include "agent/import/alloy_components.h"
#include "agent/import/alloy_mapping.h"
#include "agent/import/alloy_parser.h"
#include "agent/import/identity.h"
#include "agent/import/process_exporter.h"
#include "agent/import/prometheus_mapping.h"
#include "agent/import/scrape_job.h"
#include "agent/import/yaml_settings.h"
#include "agent/import/yaml_writer.h"

namespace msp::import {
namespace {

/// The line that an error is in, and a mark below the column. A value may be a secret, so it is not
/// shown: what follows the first '=', and a line that neither opens nor closes a block.
std::string shown_line(std::string_view text, int line, int column, bool is_in_text) {
  auto content = next_line(text);
  for (int i = 1; content && i < line; ++i) content = next_line(text);
  if (!content || is_in_text) return "";
  const auto all = trim(*content);
  const auto value = content->find('=');
  const auto name = trim(content->substr(0, value));
  const bool has_name = value != content->npos && config::is_variable_name(name);
  const bool is_bracket = all.find_first_not_of("{}[](), ") == all.npos;
  const bool opens_block = all.ends_with('{') && all.find_first_of("\"`=") == all.npos;
  std::string shown;
  if (has_name) shown = content->substr(0, value + 1);
  if (is_bracket || opens_block) shown = *content;
  const bool is_cut = trim(shown).size() < all.size();
  auto out = cat("\n    ", one_line(shown), is_cut ? (shown.empty() ? "..." : " ...") : "");
  const auto mark = std::min(static_cast<std::size_t>(column) - 1, shown.size() + (is_cut ? 1 : 0));
  constexpr std::size_t kColumnMax = 100;
  if (column > 0 && mark <= kColumnMax) out += cat("\n    ", std::string(mark, ' '), "^");
  return out;
}

std::string error_text(const ForeignFile& file, int line, int column, std::string_view text) {
  if (line == 0) return cat(one_line(file.name), ": ", text);
  return cat(one_line(file.name), ":", line, ":", column, ": ", text);
}

/// Nothing, and `error`, where a file is not of the language.
std::optional<ImportedConfig> imported_from_alloy(const std::vector<ForeignFile>& files,
                                                  ConvertContext& context, std::string& error) {
  std::vector<AlloyDocument> documents;
  std::vector<AlloySource> sources;
  documents.reserve(files.size());
  for (const auto& file : files) {
    auto& document = documents.emplace_back(parse_alloy(file.text));
    sources.push_back({file.name, &document.root});
    if (document.error.empty()) continue;
    error += cat(error.empty() ? "" : "\n",
                 error_text(file, document.line, document.column, document.error),
                 shown_line(file.text, document.line, document.column, document.is_in_text));
  }
  if (!error.empty()) {
    const auto& name = files.front().name;
    if (name.ends_with(".yml") || name.ends_with(".yaml")) {
      error += "\nfor a configuration of Prometheus or vmagent: convert-alloy --from prometheus";
    }
    return std::nullopt;
  }
  const auto components = alloy_components(sources);
  return map_alloy(components, context);
}

/// The settings of a file of YAML or JSON; nothing, and `error`, where it is none.
std::optional<Setting> parsed_yaml(const ForeignFile& file, Notes& notes, std::string& error) {
  const auto document = config::parse_document(file.text);
  if (document.root != nullptr) return yaml_settings(*document.root, file.name, notes);
  const auto line = config::excerpt(file.text, document.at.line, document.at.column);
  error = cat(error_text(file, document.at.line, document.at.column, document.error),
              line.empty() ? "" : "\n", line);
  return std::nullopt;
}

std::optional<ImportedConfig> imported_from_prometheus(const std::vector<ForeignFile>& files,
                                                       ConvertContext& context,
                                                       std::string& error) {
  const auto& file = files.front();
  const auto root = parsed_yaml(file, context.notes, error);
  if (!root) return std::nullopt;
  return map_prometheus(*root, file.text.find("%{") != std::string::npos, context);
}

/// The rules alone: who the server belongs to and where its samples go is for a person to fill in.
std::optional<ImportedConfig> imported_from_process_exporter(const ForeignFile& file,
                                                             ConvertContext& context,
                                                             std::string& error) {
  const auto root = parsed_yaml(file, context.notes, error);
  if (!root) return std::nullopt;
  ImportedConfig imported;
  convert_process_exporter(*root, context, imported);
  if (imported.process_groups.empty()) {
    error = cat(one_line(file.name),
                ": found no rule under process_names that could be carried "
                "over; expected process-exporter's configuration");
    return std::nullopt;
  }
  auto& endpoint = imported.endpoints.emplace_back();
  endpoint.at = root->at;
  endpoint.title = "where the samples go";
  context.notes.to_do({},
                      "remote_write.url: process-exporter sends nothing itself; fill in where "
                      "msp-agent sends");
  return imported;
}

/// Endpoints by one address: msp-agent tells them apart by it.
void drop_second_addresses(ConvertContext& context, ImportedConfig& imported) {
  std::set<std::string> seen;
  std::erase_if(imported.endpoints, [&](const ImportedEndpoint& endpoint) {
    const auto address = context.env.expand(endpoint.url).value_or(endpoint.url);
    if (seen.insert(address.substr(0, address.find('?'))).second) return false;
    context.notes.left_out(
        endpoint.at,
        cat(one_line(endpoint.title), ": a second endpoint with the address of another one; ",
            "msp-agent tells its endpoints apart by their addresses"));
    return true;
  });
}

/// Every variable that the result needs, once. Takes its texts from the imported, for a comment may
/// hold a '$' too.
std::set<std::string> variables_in(const ImportedConfig& imported) {
  std::set<std::string> names;
  const auto add = [&](std::string_view text) {
    for (auto& name : variables_of(text)) names.insert(std::move(name));
  };
  for (const auto* const label :
       {&imported.customer_id, &imported.server_name, &imported.environment}) {
    if (*label) add((*label)->text);
  }
  for (const auto& label : imported.labels) add(label.text);
  add(imported.interval);
  add(imported.log_level);
  for (const auto& [collector, options] : imported.collector_options) {
    for (const auto& [key, text] : options) add(text);
  }
  for (const auto& group : imported.process_groups) {
    add(group.name);
    for (const auto* const list : {&group.comm, &group.exe}) {
      for (const auto& text : *list) add(text);
    }
  }
  const auto add_http = [&](const ImportedHttp& http) {
    for (const auto* const text : {&http.username, &http.password, &http.password_file,
                                   &http.bearer_token, &http.bearer_token_file, &http.ca_file,
                                   &http.cert_file, &http.key_file, &http.server_name}) {
      add(*text);
    }
    for (const auto& [name, text] : http.headers) add(text);
  };
  for (const auto& endpoint : imported.endpoints) {
    add_http(endpoint);
    for (const auto* const text : {&endpoint.url, &endpoint.proxy_url, &endpoint.timeout})
      add(*text);
  }
  const auto add_target = [&](const ImportedTarget& target) {
    add_http(target);
    for (const auto* const text : {&target.job, &target.interval, &target.timeout}) add(*text);
    for (const auto& label : target.labels) add(label.text);
  };
  for (const auto& scrape : imported.scrapes) {
    add_target(scrape);
    for (const auto& target : scrape.targets) add(target);
  }
  for (const auto& probe : imported.probes) {
    add_target(probe);
    add(probe.target);
    for (const auto& key : probe.keys) {
      if (key.form == ImportedProbe::Key::Form::word) continue;  // as it is, without variables
      for (const auto& text : key.texts) add(text);
    }
  }
  if (imported.listen) {
    const auto& listen = *imported.listen;
    for (const auto* const text :
         {&listen.address, &listen.cert_file, &listen.key_file, &listen.client_ca_file}) {
      add(*text);
    }
  }
  return names;
}

std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += cat(text.empty() ? "" : ", ", name);
  return text;
}

/// The environment file as a unit names it: an absolute path, '%' doubled.
std::string unit_path(const EnvFile& env) {
  std::string path;
  for (const char c : env.absolute_path()) path += c == '%' ? "%%" : std::string(1, c);
  return one_line(path);
}

void tell_variables(ForeignAgent from, ConvertContext& context, const ImportedConfig& imported) {
  std::set<std::string> known;
  std::set<std::string> unknown;
  for (const auto& name : variables_in(imported)) {
    (context.env.has(name) ? known : unknown).insert(name);
  }
  if (unknown.erase("HOSTNAME") > 0) {
    context.notes.to_do({},
                        "set HOSTNAME for msp-agent: `systemctl edit msp-agent`, [Service], "
                        "Environment=HOSTNAME=%H, which is the host's name");
  }
  if (unknown.erase("CREDENTIALS_DIRECTORY") > 0) {
    context.notes.to_do({},
                        "give msp-agent the files of ${CREDENTIALS_DIRECTORY}: `systemctl edit "
                        "msp-agent`, [Service], LoadCredential=NAME:/path/of/the/file");
  }
  if (!known.empty()) {
    context.notes.to_do({},
                        cat("set ", joined(known), " for msp-agent: `systemctl edit msp-agent`, ",
                            "[Service], EnvironmentFile=", unit_path(context.env)));
  }
  if (unknown.empty()) return;
  context.notes.to_do(
      {}, cat("set ", joined(unknown), " for msp-agent: `systemctl edit msp-agent`, [Service], ",
              "EnvironmentFile= the file that sets ", unknown.size() == 1 ? "it" : "them",
              context.env.is_given() ? cat("; ", one_line(context.env.path()), " does not") : "",
              from == ForeignAgent::alloy
                  ? "; `systemctl show -p EnvironmentFiles,Environment alloy` names what does"
                  : ""));
}

/// Which of the mappings of `section` an error is about: "scrape[2].job: ..", or "scrape.job: .." where
/// there is one.
std::optional<std::size_t> index_in(std::string_view section, std::string_view error) {
  if (!error.starts_with(section)) return std::nullopt;
  error.remove_prefix(section.size());
  if (error.starts_with('.')) return 0;
  if (!error.starts_with('[')) return std::nullopt;
  return parse_number<std::size_t>(error.substr(1, std::min(error.find(']'), error.size()) - 1));
}

/// Leaves out, and names, those of `targets` that the errors are about.
template <typename Target>
bool leave_out_refused(std::string_view section, const std::vector<config::ConfigError>& errors,
                       ConvertContext& context, std::list<Target>& targets) {
  std::map<std::size_t, std::string_view> refused;
  for (const auto& error : errors) {
    if (const auto index = index_in(section, error.text)) refused.emplace(*index, error.text);
  }
  const auto before = targets.size();
  std::size_t index = 0;
  targets.remove_if([&](const Target& target) {
    const auto found = refused.find(index++);
    if (found == refused.end()) return false;
    context.notes.left_out(
        target.at, cat(target.title, ": msp-agent would refuse it: ", one_line(found->second)));
    return true;
  });
  return targets.size() < before;
}

/// What our own configuration says of the result; empty: nothing. A job or a probe that it refuses
/// costs itself.
std::string settle_refusals(ConvertContext& context, ImportedConfig& imported) {
  for (;;) {
    const auto errors =
        config::parse_config(write_yaml_to_check(imported, context.env), "the result").errors;
    const bool is_less = leave_out_refused("scrape", errors, context, imported.scrapes) |
                         leave_out_refused("probes", errors, context, imported.probes);
    if (is_less) continue;
    std::string text;
    for (const auto& error : errors) text += cat(text.empty() ? "" : "\n", one_line(error.text));
    return text;
  }
}

/// Why there is no result, as far as that is known.
std::string nothing_to_write(ForeignAgent from, const ImportedConfig& imported) {
  const bool is_alloy = from == ForeignAgent::alloy;
  const auto& why = imported.why_nothing;
  if (imported.collects_nothing) return cat("nothing would be collected: ", why);
  const auto found = is_alloy ? "found no prometheus.remote_write with an endpoint that could be "
                                "carried over"
                              : "found no remote_write that could be carried over";
  if (!why.empty()) return cat(found, ": ", why);
  return cat(found, "; expected at least one with a url",
             is_alloy ? ""
                      : " (vmagent's is on its command line: write it as remote_write: "
                        "[{url: ..}])");
}

Conversion finish(ForeignAgent from, const std::vector<ForeignFile>& files, ConvertContext& context,
                  ImportedConfig& imported) {
  Conversion out;
  drop_second_addresses(context, imported);
  if (!imported.endpoints.empty()) {
    settle_identity(context, imported);
    settle_scrapes(context, imported);
  }
  if (imported.endpoints.empty() || imported.collects_nothing) {
    out.error = cat(one_line(files.front().name), ": ", nothing_to_write(from, imported));
  } else if (const auto refused = settle_refusals(context, imported); !refused.empty()) {
    out.error = cat(one_line(files.front().name), ": msp-agent would refuse the result: ", refused);
  } else {
    tell_variables(from, context, imported);
    const auto others = files.size() > 1 ? cat(" and ", files.size() - 1, " more") : std::string();
    const auto title =
        cat("msp-agent.yaml, made by `msp-agent convert-alloy` from ", files.front().name, others);
    out.yaml = write_yaml(imported, title, context.notes.sorted());
  }
  out.notes = context.notes.sorted();
  return out;
}

}  // namespace

Conversion convert(ForeignAgent from, const std::vector<ForeignFile>& files,
                   const std::optional<ForeignFile>& env_file,
                   const std::vector<ForeignFile>& named_files) {
  Conversion out;
  for (const auto* const list : {&files, &named_files}) {
    for (const auto& file : *list) {
      if (file.text.size() <= kForeignBytesMax) continue;
      out.error =
          cat(one_line(file.name), ": more than ", kForeignBytesMax, " bytes; accepted: less");
      return out;
    }
  }
  Notes notes;
  const auto env =
      env_file ? EnvFile(env_file->name, env_file->text, notes, env_file->path) : EnvFile();
  std::vector<NamedFile> named;
  for (const auto& file : named_files) {
    auto root = parsed_yaml(file, notes, out.error);
    if (!root) return out;
    named.push_back({file.name, std::move(*root)});
  }
  ConvertContext context{notes, env, named};
  auto imported = from == ForeignAgent::alloy ? imported_from_alloy(files, context, out.error)
                  : from == ForeignAgent::prometheus
                      ? imported_from_prometheus(files, context, out.error)
                      : imported_from_process_exporter(files.front(), context, out.error);
  if (!imported) return out;
  return finish(from, files, context, *imported);
}

}  // namespace msp::import
