#include "agent/config/secrets.h"

#include <algorithm>
#include <string_view>
#include <variant>

#include "agent/config/schema.h"

namespace msp::config {
namespace {

bool is_on_every_sample(const Config& config, std::string_view value) {
  const auto target = config.target_labels();
  const auto has_it = [&](const std::vector<metrics::Label>& labels) {
    return std::any_of(labels.begin(), labels.end(),
                       [&](const metrics::Label& label) { return label.value == value; });
  };
  return has_it(target.forced) || has_it(target.defaults);
}

}  // namespace

Redactor secrets_of(const Config& config) {
  Redactor secrets;
  visit_values(config, [&](const ConfigKey& key, const std::string&, const void* field) {
    if (key.privacy != Privacy::secret) return;
    if (std::holds_alternative<key_type::Address>(key.type)) {
      secrets.add_url(*static_cast<const std::string*>(field));
    } else if (std::holds_alternative<key_type::Texts>(key.type)) {
      for (const auto& target : *static_cast<const std::vector<std::string>*>(field)) {
        secrets.add_url(target);
      }
    } else if (std::holds_alternative<key_type::Text>(key.type)) {
      secrets.add(*static_cast<const std::string*>(field));
    } else if (std::holds_alternative<key_type::Mapping>(key.type)) {
      using Values = std::map<std::string, std::string>;
      for (const auto& [name, value] : *static_cast<const Values*>(field)) {
        if (!is_on_every_sample(config, value)) secrets.add(value);
      }
    }
  });
  return secrets;
}

}  // namespace msp::config
