// external_labels, and which of two values wins where the samples have a label of that name
// already: theirs in Prometheus and in Alloy (which is Prometheus' code), these in vmagent.
#pragma once

#include "agent/import/mapping_reader.h"
#include "agent/import/sample_labels.h"

namespace msp::import {

enum class ExternalLabels { give_way, win };

/// Puts the labels of `part`'s key external_labels on samples that have been scraped.
void add_external_labels(MappingReader& part, ExternalLabels use, ConvertContext& context,
                         SampleLabels& labels);

}  // namespace msp::import
