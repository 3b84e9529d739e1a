#include "agent/import/label_settings.h"

#include <string>
#include <utility>

#include "agent/base/text.h"
#include "agent/config/validators.h"
#include "agent/metrics/labels.h"

namespace msp::import {

using Kind = Setting::Kind;

void add_label(std::string_view name, const Setting& value, const Place& at,
               ConvertContext& context, SampleLabels& labels) {
  const auto named = cat("the label ", quoted(name));
  const bool is_of_target = name.starts_with("__") && labels.stage() == SampleLabels::Stage::target;
  if (!is_of_target && (name.starts_with("__") || !metrics::is_label_name(name))) {
    context.notes.left_out(at, cat(named, ": msp-agent cannot set it; accepted: letters, digits ",
                                   "and '_', no digit first and not '__' either"));
    return;
  }
  ImportedLabel label{std::string(name), "", at};
  std::string why;
  const auto text = text_of(value, why);
  // Alloy's own unit sets it with Environment=HOSTNAME=%H.
  const bool is_host_name = text == kHostNameVariable && !context.env.has("HOSTNAME");
  if (value.is(Kind::host_name) || is_host_name) {
    label.value = ImportedLabel::Value::host_name;
  } else if (!text) {
    context.notes.left_out(at, cat(named, ": ", why));
    label.value = ImportedLabel::Value::unknown;
  } else if (text->empty()) {
    return labels.erase(name);  // an empty label is none, there as here
  } else if (const auto known = context.env.expand(*text);
             known && known->size() > config::kLabelValueBytesMax) {
    context.notes.left_out(at, cat(named, ": ", known->size(), " bytes; at most ",
                                   config::kLabelValueBytesMax, " are accepted"));
    label.value = ImportedLabel::Value::unknown;
  } else {
    label.text = *text;
  }
  labels.set(std::move(label));
}

void add_labels(MappingReader& part, std::string_view key, ConvertContext& context,
                SampleLabels& labels) {
  const auto* const setting = part.find(key);
  if (setting == nullptr || setting->is(Kind::empty)) return;
  if (!setting->is(Kind::mapping)) {
    std::string why = "not a mapping of names to values";
    text_of(*setting, why);
    return part.left_out(key, why);
  }
  for (const auto& [name, at, value] : setting->entries) {
    add_label(name, value, at, context, labels);
  }
}

}  // namespace msp::import
