#include "agent/delivery/answer_rules.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace msp {

TEST_CASE("every answer has exactly one rule") {
  for (int status = 0; status < 600; ++status) {
    if (status > 0 && status < 100) continue;
    INFO(status);
    const auto matches = [&](const AnswerRule& r) { return status >= r.first && status <= r.last; };
    CHECK(std::count_if(answer_rules().begin(), answer_rules().end(), matches) == 1);
    CHECK(matches(rule_for(status)));
  }
}

TEST_CASE("the rules are those of docs/delivery.md") {
  const auto check = [](Action action, std::initializer_list<int> statuses) {
    for (const int status : statuses) {
      INFO(status);
      CHECK(rule_for(status).action == action);
      CHECK(rule_for(status).advice.empty() ==
            (action != Action::fix_configuration && action != Action::not_understood));
    }
  };
  check(Action::delivered, {200, 202, 204, 299});
  check(Action::try_again, {0, 100, 408, 425, 429, 500, 501, 502, 503, 504, 507, 599});
  check(Action::fix_configuration, {300, 301, 302, 307, 308, 399, 401, 403, 404, 405, 407, 410});
  check(Action::refused, {400, 402, 406, 411, 414, 417, 422, 431, 451, 499});
  check(Action::conflict, {409});
  check(Action::too_large, {413});
  check(Action::not_understood, {415});
}

TEST_CASE("a page for people is no proof of a delivery, and no reason against one") {
  HttpAnswer answer;
  answer.status = 200;
  CHECK(doubt_about(answer).empty());
  answer.is_html = true;
  CHECK(doubt_about(answer).starts_with("the answer HTTP 200 is an HTML page, "));
  CHECK(doubt_about(answer).find("check host and path of url") != std::string::npos);
  answer.status = 404;
  CHECK(doubt_about(answer).empty());
}

TEST_CASE("what is no status is tried again") {
  for (const int status : {-1, 1, 99, 600, 999})
    CHECK(rule_for(status).action == Action::try_again);
}

}  // namespace msp
