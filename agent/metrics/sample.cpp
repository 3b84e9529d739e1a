#include "agent/metrics/sample.h"

#include "agent/base/text.h"

namespace msp::metrics {
namespace {

struct OwnedDesc {
  std::string name;
  std::string help;
  MetricDesc desc;
};

}  // namespace

std::string_view metric_type_name(MetricType type) {
  constexpr std::string_view kNames[] = {"counter", "gauge", "histogram", "summary", "untyped"};
  return kNames[static_cast<std::size_t>(type)];
}

DescPtr make_desc(std::string name, std::string help, MetricType type) {
  make_utf8(name);
  make_utf8(help);
  auto owned = std::make_shared<OwnedDesc>(OwnedDesc{std::move(name), std::move(help), {}});
  owned->desc = {.name = owned->name, .help = owned->help, .type = type};
  const auto* desc = &owned->desc;
  return DescPtr(std::shared_ptr<const MetricDesc>(std::move(owned), desc));
}

}  // namespace msp::metrics
