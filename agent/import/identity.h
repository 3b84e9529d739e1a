// The labels of another agent -> who this server is: customer_id, server_name, environment, and the
// labels that stay labels.
#pragma once

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// Makes one set of labels out of those of `imported`'s endpoints, for msp-agent has one set for all
/// of them, and takes the identity out of it.
void settle_identity(ConvertContext& context, ImportedConfig& imported);

}  // namespace msp::import
