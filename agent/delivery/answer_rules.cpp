#include "agent/delivery/answer_rules.h"

#include "agent/base/text.h"

namespace msp::delivery {
namespace {

constexpr std::string_view kCheckUrl =
    "check the path in url (VictoriaMetrics and Prometheus: /api/v1/write, Mimir: /api/v1/push)";
constexpr std::string_view kCheckLogin = "check basic_auth, bearer_token or headers";

// clang-format off
constexpr AnswerRule kRules[] = {
    {  0,   0, Action::try_again, ""},
    {100, 199, Action::try_again, ""},  // of a server that does not end its answer
    {200, 299, Action::delivered, ""},
    {300, 399, Action::fix_configuration, "set url to the address that the redirect points to"},
    {400, 400, Action::refused, ""},
    {401, 401, Action::fix_configuration, kCheckLogin},
    {402, 402, Action::refused, ""},
    {403, 403, Action::fix_configuration, kCheckLogin},
    {404, 405, Action::fix_configuration, kCheckUrl},
    {406, 406, Action::refused, ""},
    {407, 407, Action::fix_configuration, "check the user and password in proxy_url"},
    {408, 408, Action::try_again, ""},
    {409, 409, Action::conflict, ""},
    {410, 410, Action::fix_configuration, kCheckUrl},
    {411, 412, Action::refused, ""},
    {413, 413, Action::too_large, ""},
    {414, 414, Action::refused, ""},
    {415, 415, Action::not_understood, "set protocol to what it understands, or url to a remote write endpoint"},
    {416, 424, Action::refused, ""},
    {425, 425, Action::try_again, ""},
    {426, 428, Action::refused, ""},
    {429, 429, Action::try_again, ""},
    {430, 499, Action::refused, ""},
    {500, 599, Action::try_again, ""},
};
// clang-format on

}  // namespace

std::span<const AnswerRule> answer_rules() {
  return kRules;
}

std::string doubt_about(const http::HttpAnswer& answer) {
  if (!answer.is_html || rule_for(answer.status).action != Action::delivered) return {};
  return cat(
      "the answer HTTP ", answer.status,
      " is an HTML page, and a remote write receiver sends none: what counts as delivered may "
      "be lost; check host and path of url: a login page, a portal or a proxy may answer there");
}

const AnswerRule& rule_for(int status) {
  for (const auto& rule : kRules) {
    if (status >= rule.first && status <= rule.last) return rule;
  }
  return kRules[0];
}

}  // namespace msp::delivery
