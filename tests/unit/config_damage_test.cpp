// What no operator writes, but a disk, an editor or an attacker may: an answer is due, not a crash.
#include <algorithm>
#include <catch2/catch.hpp>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "tests/support/random_scrapes.h"
#include "tests/support/shipped_config.h"

namespace msp {
namespace {

/// Up to four edits, each of them anywhere.
std::string damaged(std::string text, std::mt19937_64& random) {
  static const std::string kPieces[] = {
      "\t",       "\n", ":",    ": ", "- ",    "{",   "}",     "[",
      "]",        "'",  "\"",   "*a", "&a ",   "${",  "${A:-", "$$",
      "!!x ",     "|",  ">",    "%",  "---\n", "...", "\xff",  std::string(1, '\0'),
      "\xe2\x82", "? ", "<<: ", "#",  "\\",    "  "};
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  const auto edits = 1 + below(4);
  for (std::size_t i = 0; i < edits; ++i) {
    const auto at = below(text.size());
    switch (below(4)) {
      case 0:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 1:
        text.erase(at, 1 + below(20));
        break;
      case 2:
        text.insert(at, text, below(text.size()), below(200));
        break;
      default:
        text[at] = static_cast<char>(below(256));
    }
  }
  return text;
}

}  // namespace

TEST_CASE("config: nesting without end is refused, however it is made") {
  std::string aliases = "a0: &a0 [x]\n";
  for (int i = 1; i < 20'000; ++i) aliases += cat("a", i, ": &a", i, " [*a", i - 1, "]\n");
  std::string bomb = "a0: &a0 [x]\n";
  for (int i = 1; i < 30; ++i) {
    const auto alias = cat("*a", i - 1);
    bomb += cat("a", i, ": &a", i, " [", alias, ", ", alias, ", ", alias, "]\n");
  }
  std::vector<std::string> texts = {aliases};
  for (const std::string unit : {"[", "{", "- ", "? ", "{a: ", "a: [", "[a, ", "&a "}) {
    std::string text;
    while (text.size() < 100'000) text += unit;
    texts.push_back(text);
  }
  for (const auto& text : texts) {
    INFO(text.substr(0, 20));
    CHECK(config::parse_config(text, "f").errors.size() == 1);
  }
  CHECK(config::parse_config(aliases, "f").errors[0].text ==
        "not YAML: nested too deep; accepted: at most 32 levels");
  CHECK(config::parse_config(bomb, "f").errors.size() ==
        32);  // its keys are unknown, two are missing
}

TEST_CASE("config: any damage to the shipped file is an answer, not a crash") {
  auto original = test::filled_in(test::shipped_config());
  for (auto at = original.find("#"); at != std::string::npos; at = original.find("#", at + 1)) {
    if (original[at + 1] != ' ' && original[at + 1] != '\n') original[at] = ' ';
  }
  const auto all = test::seeds(1000);
  std::size_t refused = 0;
  for (const auto seed : all) {
    INFO("MSP_AGENT_SEED=" << seed);
    std::mt19937_64 random(seed);
    const auto text = damaged(original, random);
    const auto outcome = config::parse_config(text, "f");
    if (outcome.errors.empty()) {
      CHECK(outcome.config.endpoints.size() == 1);
    } else {
      ++refused;
    }
    for (const auto& error : outcome.errors) {
      CHECK(is_utf8(error.text));
      CHECK(error.text.find('\n') == std::string::npos);
      CHECK(error.line <= 1 + std::count(text.begin(), text.end(), '\n'));
    }
  }
  CHECK((refused > all.size() / 3 || all.size() == 1));
}

}  // namespace msp
