#include "agent/delivery/answer_rules.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace msp {

TEST_CASE("every answer has exactly one rule") {
  for (int status = 0; status < 600; ++status) {
    if (status > 0 && status < 100) continue;
    INFO(status);
    const auto matches = [&](const delivery::AnswerRule& r) {
      return status >= r.first && status <= r.last;
    };
    CHECK(std::count_if(delivery::answer_rules().begin(), delivery::answer_rules().end(),
                        matches) == 1);
    CHECK(matches(delivery::rule_for(status)));
  }
}

TEST_CASE("the rules are those of docs/delivery.md") {
  const auto check = [](delivery::Action action, std::initializer_list<int> statuses) {
    for (const int status : statuses) {
      INFO(status);
      CHECK(delivery::rule_for(status).action == action);
      CHECK(delivery::rule_for(status).advice.empty() ==
            (action != delivery::Action::fix_configuration &&
             action != delivery::Action::not_understood));
    }
  };
  check(delivery::Action::delivered, {200, 202, 204, 299});
  check(delivery::Action::try_again, {0, 100, 408, 425, 429, 500, 501, 502, 503, 504, 507, 599});
  check(delivery::Action::fix_configuration,
        {300, 301, 302, 307, 308, 399, 401, 403, 404, 405, 407, 410});
  check(delivery::Action::refused, {400, 402, 406, 411, 414, 417, 422, 431, 451, 499});
  check(delivery::Action::conflict, {409});
  check(delivery::Action::too_large, {413});
  check(delivery::Action::not_understood, {415});
}

TEST_CASE("a page for people is no proof of a delivery, and no reason against one") {
  http::HttpAnswer answer;
  answer.status = 200;
  CHECK(delivery::doubt_about(answer).empty());
  answer.is_html = true;
  CHECK(delivery::doubt_about(answer).starts_with("the answer HTTP 200 is an HTML page, "));
  CHECK(delivery::doubt_about(answer).find("check host and path of url") != std::string::npos);
  answer.status = 404;
  CHECK(delivery::doubt_about(answer).empty());
}

TEST_CASE("what is no status is tried again") {
  for (const int status : {-1, 1, 99, 600, 999})
    CHECK(delivery::rule_for(status).action == delivery::Action::try_again);
}

}  // namespace msp
