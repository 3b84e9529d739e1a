#include "agent/config/secrets.h"

#include <algorithm>
#include <string_view>

namespace msp {
namespace {

bool is_on_every_sample(const Config& config, std::string_view value) {
  const auto target = config.target_labels();
  const auto has_it = [&](const std::vector<Label>& labels) {
    return std::any_of(labels.begin(), labels.end(),
                       [&](const Label& label) { return label.value == value; });
  };
  return has_it(target.forced) || has_it(target.defaults);
}

}  // namespace

Redactor secrets_of(const Config& config) {
  Redactor secrets;
  for (const auto& endpoint : config.endpoints) {
    secrets.add_url(endpoint.url);
    secrets.add_url(endpoint.proxy_url);
    secrets.add(endpoint.password);
    secrets.add(endpoint.bearer_token);
    for (const auto& [name, value] : endpoint.headers) {
      if (!is_on_every_sample(config, value)) secrets.add(value);
    }
  }
  return secrets;
}

}  // namespace msp
