// Labels that are written out, on a target or as external_labels -> labels of samples.
#pragma once

#include <string_view>

#include "agent/import/mapping_reader.h"
#include "agent/import/sample_labels.h"

namespace msp::import {

/// Puts `value` on every sample; what msp-agent cannot have as a label is noted.
void add_label(std::string_view name, const Setting& value, const Place& at,
               ConvertContext& context, SampleLabels& labels);

/// The labels of the mapping `key`, such as those of a target: in the place of others of their
/// names.
void add_labels(MappingReader& part, std::string_view key, ConvertContext& context,
                SampleLabels& labels);

}  // namespace msp::import
