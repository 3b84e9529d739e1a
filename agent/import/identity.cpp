#include "agent/import/identity.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "agent/base/text.h"
#include "agent/config/validators.h"
#include "agent/import/sample_labels.h"

namespace msp::import {
namespace {

using Value = ImportedLabel::Value;

bool same_value(const ImportedLabel& a, const ImportedLabel& b) {
  return a.text == b.text && a.value == b.value;
}

/// One set for all endpoints; where they differ the first value that is known wins and the others
/// are noted.
ImportedLabels merged(ConvertContext& context, const ImportedConfig& imported) {
  ImportedLabels labels;
  const auto tell = [&](const ImportedLabel& label, const ImportedEndpoint& endpoint,
                        std::string_view there) {
    context.notes.different(
        label.at, cat("the label ", quoted(label.name), there, one_line(endpoint.title),
                      "; msp-agent has one set of labels, and sends it to every endpoint"));
  };
  for (const auto& endpoint : imported.endpoints) {
    for (const auto& label : endpoint.labels) {
      const auto first =
          std::find_if(labels.begin(), labels.end(),
                       [&](const ImportedLabel& other) { return other.name == label.name; });
      if (first == labels.end()) {
        labels.push_back(label);
      } else if (!first->is_known()) {
        *first = label;
      }
    }
  }
  for (const auto& label : labels) {
    for (const auto& endpoint : imported.endpoints) {
      const auto* const there = find_label(endpoint.labels, label.name);
      if (there == nullptr) {
        if (label.is_known()) tell(label, endpoint, " was not set for ");
      } else if (!same_value(label, *there)) {
        tell(*there, endpoint, " has another value for ");
      }
    }
  }
  return labels;
}

void erase_label(ImportedLabels& labels, std::string_view name) {
  std::erase_if(labels, [&](const ImportedLabel& label) { return label.name == name; });
}

/// The label `name`, which then is no label any more, or the first of `similar` that is known, which
/// stays one.
std::optional<ImportedLabel> take(ConvertContext& context, ImportedLabels& labels,
                                  std::string_view name,
                                  std::span<const std::string_view> similar) {
  if (const auto* const exact = find_label(labels, name)) {
    auto label = *exact;
    erase_label(labels, name);
    return label;
  }
  for (const auto& candidate : similar) {
    const auto* const label = find_label(labels, candidate);
    if (label == nullptr || !label->is_known()) continue;
    if (label->value == Value::host_name) return *label;
    context.notes.different(label->at, cat("the label '", candidate, "' is ", name,
                                           " as well: every sample carries both"));
    return *label;
  }
  return std::nullopt;
}

void settle_customer(ConvertContext& context, ImportedConfig& imported) {
  constexpr std::string_view kSimilar[] = {"customer", "customer_name", "tenant", "tenant_id",
                                           "client"};
  imported.customer_id = take(context, imported.labels, "customer_id", kSimilar);
  const auto& label = imported.customer_id;
  if (!label) {
    context.notes.to_do({},
                        "customer_id: no label says whose server this is; fill it in, such as "
                        "customer_id: alpha");
    return;
  }
  const bool is_text = label->value == Value::text;
  const auto known = is_text ? context.env.expand(label->text) : std::nullopt;
  if (is_text && (!known || config::is_customer_id(*known))) return;
  const auto is = label->value == Value::host_name ? std::string("is the host's name")
                  : label->is_known()              ? cat("is ", quoted(label->text))
                                                   : std::string("is not known");
  context.notes.to_do(label->at, cat("customer_id: the label '", label->name, "' ", is,
                                     "; fill in ", config::kCustomerIdAccepted));
  imported.customer_id.reset();
}

void settle_server(ConvertContext& context, ImportedConfig& imported) {
  constexpr std::string_view kSimilar[] = {"host",   "hostname", "host_name",
                                           "server", "node",     "nodename"};
  imported.server_name = take(context, imported.labels, "server_name", kSimilar);
  auto& label = imported.server_name;
  if (!label) return;
  if (!label->is_known()) {
    context.notes.left_out(label->at,
                           "server_name: its value is not known; every sample carries the host's "
                           "name in its place; write server_name: .. if that is not the same");
    label.reset();
  } else if (label->value == Value::host_name) {
    label.reset();  // the default
  } else if (const auto known = context.env.expand(label->text);
             known && (known->empty() || known->size() > config::kNameBytesMax)) {
    context.notes.to_do(label->at, cat("server_name: ", known->size(), " bytes; accepted: 1 to ",
                                       config::kNameBytesMax, " bytes of text"));
    label.reset();
  }
}

void settle_environment(ConvertContext& context, ImportedConfig& imported) {
  constexpr std::string_view kSimilar[] = {"env"};
  imported.environment = take(context, imported.labels, "environment", kSimilar);
  if (!imported.environment) return;
  if (!imported.environment->is_known()) return imported.environment.reset();  // its rule is named
  const auto known = context.env.expand(imported.environment->text);
  if (known && known->size() > config::kNameBytesMax) {
    context.notes.left_out(imported.environment->at, cat("environment: accepted: 1 to ",
                                                         config::kNameBytesMax, " bytes of text"));
    imported.environment.reset();
  }
}

/// The labels that a scrape sets, and which msp-agent sends in any case.
void settle_scrape_labels(ConvertContext& context, ImportedLabels& labels) {
  if (const auto* const instance = find_label(labels, "instance");
      instance != nullptr && instance->value != Value::text) {
    if (instance->value == Value::address) {
      context.notes.different(instance->at, cat("the label 'instance' was ", quoted(instance->text),
                                                ", the target's address; it is the host's name"));
    } else if (!instance->is_known()) {
      context.notes.different(instance->at, "the label 'instance' is the host's name");
    }
    erase_label(labels, "instance");
  }
  if (const auto* const job = find_label(labels, "job"); job != nullptr) {
    if (!job->is_known()) context.notes.different(job->at, "the label 'job' is 'node'");
    if (!job->is_known() || job->text == "node") erase_label(labels, "job");
  }
}

/// A label of ours never takes the place of one that a metric has by itself; theirs do.
void tell_own_labels(ConvertContext& context, const ImportedLabels& labels) {
  using OwnLabel = ImportedLabel::OwnLabel;
  for (const auto& label : labels) {
    if (label.own == OwnLabel::stays || !is_label_of_metrics(label.name)) continue;
    const auto there = label.own == OwnLabel::is_renamed
                           ? cat("their own was called exported_", one_line(label.name))
                           : std::string("their own was lost");
    context.notes.different(
        label.at, cat("the label ", quoted(label.name), ": metrics that have a label of this name ",
                      "by themselves keep it; before, they had this one, and ", there));
  }
}

/// ${HOSTNAME} stands for the host's name, but where the environment file says it is another one.
void leave_out_host_names(ConvertContext& context, ImportedLabels& labels) {
  if (!context.env.has("HOSTNAME")) return;
  for (const auto& label : labels) {
    if (label.value != Value::host_name) continue;
    context.notes.left_out(label.at, cat("the label ", quoted(label.name),
                                         " is the host's name, and the environment file sets "
                                         "HOSTNAME to something of its own"));
  }
  std::erase_if(labels, [](const ImportedLabel& label) { return label.value == Value::host_name; });
}

}  // namespace

void settle_identity(ConvertContext& context, ImportedConfig& imported) {
  imported.labels = merged(context, imported);
  settle_scrape_labels(context, imported.labels);
  settle_customer(context, imported);
  settle_server(context, imported);
  settle_environment(context, imported);
  std::erase_if(imported.labels, [](const ImportedLabel& label) { return !label.is_known(); });
  tell_own_labels(context, imported.labels);
  leave_out_host_names(context, imported.labels);
  for (auto* const label : {&imported.customer_id, &imported.server_name, &imported.environment}) {
    if (*label && (*label)->value == Value::host_name) (*label)->text = kHostNameVariable;
  }
  for (auto& label : imported.labels) {
    if (label.value == Value::host_name) label.text = kHostNameVariable;
  }
}

}  // namespace msp::import
