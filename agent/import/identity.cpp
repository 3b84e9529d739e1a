#include "agent/import/identity.h"

#include <algorithm>
#include <span>
#include <string_view>

#include "agent/base/text.h"

namespace msp {
namespace {

/// [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?
bool is_customer_id(std::string_view id) {
  const auto is_inner = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !id.empty() && id.size() <= 63 && id.front() != '-' && id.back() != '-' &&
         std::all_of(id.begin(), id.end(), is_inner);
}

bool same_value(const DraftLabel& a, const DraftLabel& b) {
  return a.text == b.text && a.is_host_name == b.is_host_name;
}

/// One set for all endpoints; where they differ the first one wins and the others are noted.
DraftLabels merged(ConvertContext& context, const Draft& draft) {
  DraftLabels labels;
  const auto tell = [&](const DraftLabel& label, const DraftEndpoint& endpoint,
                        std::string_view there) {
    context.notes.different(
        label.at, cat("the label ", quoted(label.name), there, one_line(endpoint.title),
                      "; msp-agent has one set of labels, and sends it to every endpoint"));
  };
  for (const auto& endpoint : draft.endpoints) {
    for (const auto& label : endpoint.labels) {
      const auto* const first = find_label(labels, label.name);
      if (first == nullptr) {
        labels.push_back(label);
      } else if (!same_value(*first, label)) {
        tell(label, endpoint, " has another value for ");
      }
    }
  }
  for (const auto& label : labels) {
    for (const auto& endpoint : draft.endpoints) {
      if (find_label(endpoint.labels, label.name) == nullptr)
        tell(label, endpoint, " was not set for ");
    }
  }
  return labels;
}

void erase_label(DraftLabels& labels, std::string_view name) {
  std::erase_if(labels, [&](const DraftLabel& label) { return label.name == name; });
}

/// The label `name`, which then is no label any more, or the first of `similar`, which stays one.
std::optional<DraftLabel> take(ConvertContext& context, DraftLabels& labels, std::string_view name,
                               std::span<const std::string_view> similar) {
  if (const auto* const exact = find_label(labels, name)) {
    auto label = *exact;
    erase_label(labels, name);
    return label;
  }
  for (const auto& candidate : similar) {
    const auto* const label = find_label(labels, candidate);
    if (label == nullptr) continue;
    context.notes.different(label->at, cat("the label '", candidate, "' is ", name,
                                           " as well: every sample carries both"));
    return *label;
  }
  return std::nullopt;
}

void settle_customer(ConvertContext& context, Draft& draft) {
  constexpr std::string_view kSimilar[] = {"customer", "customer_name", "tenant", "tenant_id",
                                           "client"};
  draft.customer_id = take(context, draft.labels, "customer_id", kSimilar);
  const auto& label = draft.customer_id;
  if (!label) {
    context.notes.to_do({},
                        "customer_id: no label says whose server this is; fill it in, such as "
                        "customer_id: alpha");
    return;
  }
  const auto known = label->is_host_name ? std::nullopt : context.env.expand(label->text);
  const bool is_usable = !label->is_host_name && (!known || is_customer_id(*known));
  if (is_usable) return;
  context.notes.to_do(label->at, cat("customer_id: the label '", label->name, "' is ",
                                     known ? quoted(label->text) : std::string("the host's name"),
                                     "; fill in 1 to 63 characters a-z, 0-9 and '-', such as "
                                     "customer_id: alpha"));
  draft.customer_id.reset();
}

void settle_server(ConvertContext& context, Draft& draft) {
  constexpr std::string_view kSimilar[] = {"host",   "hostname", "host_name",
                                           "server", "node",     "nodename"};
  constexpr std::size_t kBytesMax = 255;
  draft.server_name = take(context, draft.labels, "server_name", kSimilar);
  auto& label = draft.server_name;
  if (!label) return;
  if (label->is_host_name) {
    label.reset();  // the default
  } else if (const auto known = context.env.expand(label->text);
             known && (known->empty() || known->size() > kBytesMax)) {
    context.notes.to_do(
        label->at, cat("server_name: ", known->size(), " bytes; accepted: 1 to 255 bytes of text"));
    label.reset();
  }
}

void settle_environment(ConvertContext& context, Draft& draft) {
  constexpr std::string_view kSimilar[] = {"env"};
  constexpr std::size_t kBytesMax = 255;
  draft.environment = take(context, draft.labels, "environment", kSimilar);
  if (!draft.environment) return;
  const auto known = context.env.expand(draft.environment->text);
  if (draft.environment->is_host_name || (known && known->size() > kBytesMax)) {
    context.notes.left_out(draft.environment->at,
                           "environment: accepted: 1 to 255 bytes of text that are not the host's "
                           "name");
    draft.environment.reset();
  }
}

}  // namespace

void settle_identity(ConvertContext& context, Draft& draft) {
  draft.labels = merged(context, draft);
  settle_customer(context, draft);
  settle_server(context, draft);
  settle_environment(context, draft);
  if (const auto* const instance = find_label(draft.labels, "instance");
      instance != nullptr && instance->is_host_name) {
    erase_label(draft.labels, "instance");  // as it is anyway
  }
  if (const auto* const job = find_label(draft.labels, "job");
      job != nullptr && job->text == "node") {
    erase_label(draft.labels, "job");
  }
  for (const auto& label : draft.labels) {
    if (!label.is_host_name) continue;
    context.notes.left_out(label.at, cat("the label ", quoted(label.name),
                                         " is the host's name, for which msp-agent has no "
                                         "variable; the labels instance and server_name have it"));
  }
  std::erase_if(draft.labels, [](const DraftLabel& label) { return label.is_host_name; });
}

}  // namespace msp
