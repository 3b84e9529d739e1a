// What an answer means: one table, the same as in docs/delivery.md. The sender obeys it and nothing
// else; what the server writes into an answer is for people and never read by the agent.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "agent/http/answer.h"

namespace msp::delivery {

enum class Action {
  delivered,
  try_again,          // after a back-off, or when Retry-After says
  fix_configuration,  // it will not pass by itself: kept, tried once a minute, told loudly
  refused,            // something in it: another encoding, then smaller parts, then what is refused
  conflict,           // the endpoint has other samples in that place: dropped and counted, once it
                      // has taken anything else
  too_large,          // smaller parts, and the size is remembered
  not_understood,     // another encoding
};

struct AnswerRule {
  int first;  // HTTP status; 0: there was no answer
  int last;
  Action action;
  std::string_view advice;  // what an operator does about it; empty: nothing
};

std::span<const AnswerRule> answer_rules();

/// The one rule for a status. What no server may send is tried again.
const AnswerRule& rule_for(int status);

/// To an operator, where an endpoint refuses whatever it gets, a sample made for the question too.
inline constexpr std::string_view kRefusesEverything =
    "it refuses everything: check the path in url (VictoriaMetrics and Prometheus: /api/v1/write, "
    "Mimir: /api/v1/push), the login and protocol";

/// Why an answer that says "delivered" may not come from a receiver, and what to do; empty: nothing
/// speaks against it. The rule stands: the specification has 2xx for delivered.
std::string doubt_about(const http::HttpAnswer& answer);

}  // namespace msp::delivery
