// prometheus.receive_http, where a relay takes what others send -> our `listen`.
#pragma once

#include "agent/import/imported_config.h"
#include "agent/import/mapping_reader.h"

namespace msp::import {

/// `part` is the component; its forward_to is for the caller to follow.
ImportedListen convert_receiver(MappingReader& part);

}  // namespace msp::import
