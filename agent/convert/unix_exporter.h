// prometheus.exporter.unix -> which of our collectors run, and what they look at.
#pragma once

#include "agent/convert/draft.h"
#include "agent/convert/part.h"

namespace msp {

void convert_unix_exporter(const Setting& exporter, ConvertContext& context, Draft& draft);

}  // namespace msp
