#include "agent/import/external_labels.h"

#include "agent/base/text.h"
#include "agent/import/label_settings.h"

namespace msp::import {
namespace {

std::string value_text(const ImportedLabel& label) {
  switch (label.value) {
    case ImportedLabel::Value::host_name:
      return "the host's name";
    case ImportedLabel::Value::unknown:
      return "a value that is not known";
    case ImportedLabel::Value::text:
    case ImportedLabel::Value::address:
      break;
  }
  return quoted(label.text);
}

}  // namespace

void add_external_labels(MappingReader& part, ExternalLabels use, ConvertContext& context,
                         SampleLabels& labels) {
  const auto before = labels;
  SampleLabels external;
  add_labels(part, "external_labels", context, external);
  for (const auto& label : external.all()) {
    const auto named = cat("external_labels: the label ", quoted(label.name), ": ");
    const auto* const own = before.find(label.name);
    if (label.name.starts_with("__")) {
      context.notes.left_out(label.at, cat(named, "msp-agent cannot set it"));
    } else if (own != nullptr && use == ExternalLabels::give_way) {
      context.notes.different(label.at, cat(named, "the samples have it already, ",
                                            value_text(*own), ", and theirs wins"));
    } else {
      if (own != nullptr) {
        context.notes.different(
            label.at,
            cat(named, "vmagent puts it in the place of the samples' own, ", value_text(*own),
                ", which it calls exported_", label.name, "; msp-agent sends no exported_",
                label.name, "; old versions, such as 1.79, leave the samples' own"));
      }
      auto put = label;
      put.own = use == ExternalLabels::win ? ImportedLabel::OwnLabel::is_renamed
                                           : ImportedLabel::OwnLabel::stays;
      labels.set(std::move(put));
    }
  }
}

}  // namespace msp::import
