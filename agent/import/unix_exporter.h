// prometheus.exporter.unix -> which of our collectors run, and what they look at.
#pragma once

#include "agent/import/draft.h"
#include "agent/import/part.h"

namespace msp {

void convert_unix_exporter(const Setting& exporter, ConvertContext& context, Draft& draft);

}  // namespace msp
