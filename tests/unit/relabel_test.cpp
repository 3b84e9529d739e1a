#include "agent/metrics/relabel.h"

#include <catch2/catch.hpp>

#include <algorithm>

#include "agent/base/md5.h"
#include "agent/base/text.h"

namespace msp {
namespace {

using Action = metrics::RelabelAction;
using LabelList = std::vector<metrics::Label>;

/// The labels afterwards, by name: "a=1 b=2", or "dropped".
std::string after(const std::vector<metrics::RelabelRule>& rules, LabelList labels) {
  for (const auto& rule : rules) {
    const auto problem = metrics::check_rule(rule);
    INFO((problem ? cat(problem->key, ": ", problem->found) : std::string()));
    CHECK_FALSE(problem.has_value());
  }
  if (!metrics::Relabeler(rules)(labels)) return "dropped";
  std::sort(labels.begin(), labels.end(),
            [](const metrics::Label& a, const metrics::Label& b) { return a.name < b.name; });
  std::string text;
  for (const auto& [name, value] : labels) {
    text += cat(text.empty() ? "" : " ", name, "=", value);
  }
  return text;
}

std::string after(const metrics::RelabelRule& rule, LabelList labels) {
  return after(std::vector{rule}, std::move(labels));
}

std::string problem_of(const metrics::RelabelRule& rule) {
  const auto problem = metrics::check_rule(rule);
  return problem ? cat(problem->key, ": ", problem->found) : std::string();
}

std::string hex(std::string_view text) {
  std::string out;
  for (const auto byte : md5(text)) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

const LabelList kAB = {{"__name__", "m"}, {"a", "1"}, {"b", "x:9100"}};

}  // namespace

TEST_CASE("md5: the test suite of RFC 1321") {
  CHECK(hex("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(hex("a") == "0cc175b9c0f1b6a831c399e269772661");
  CHECK(hex("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(hex("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") ==
        "d174ab98d277d9f5a5611c2c9f419d9f");
  CHECK(hex("12345678901234567890123456789012345678901234567890123456789012345678901234567890") ==
        "57edf4a22be3c955ac49da2e2107b67a");
}

TEST_CASE("relabel: replace") {
  struct Row {
    metrics::RelabelRule rule;
    std::string_view after;
  };
  const Row rows[] = {
      // A constant, over what is there as well.
      {{.target_label = "c", .replacement = "x"}, "__name__=m a=1 b=x:9100 c=x"},
      {{.target_label = "a", .replacement = "x"}, "__name__=m a=x b=x:9100"},
      {{.source_labels = {"none"}, .target_label = "c", .replacement = "x"},
       "__name__=m a=1 b=x:9100 c=x"},
      // A copy; source labels are joined, and one that is not there is empty.
      {{.source_labels = {"a"}, .target_label = "c"}, "__name__=m a=1 b=x:9100 c=1"},
      {{.source_labels = {"a", "none", "b"}, .target_label = "c"},
       "__name__=m a=1 b=x:9100 c=1;;x:9100"},
      {{.source_labels = {"a", "b"}, .separator = "", .target_label = "c"},
       "__name__=m a=1 b=x:9100 c=1x:9100"},
      // Groups, in the label's name as well.
      {{.source_labels = {"b"},
        .regex = "(.*):(.*)",
        .target_label = "port_${2}",
        .replacement = "$1"},
       "__name__=m a=1 b=x:9100 port_9100=x"},
      {{.source_labels = {"b"},
        .regex = "(?P<host>.*):.*",
        .target_label = "b",
        .replacement = "${host}:1"},
       "__name__=m a=1 b=x:1"},
      {{.source_labels = {"b"}, .regex = "(.*):.*", .target_label = "b", .replacement = "$$1"},
       "__name__=m a=1 b=$1"},
      // The expression is anchored; where it does not match nothing happens.
      {{.source_labels = {"b"}, .regex = "x", .target_label = "c", .replacement = "y"},
       "__name__=m a=1 b=x:9100"},
      {{.source_labels = {"b"}, .regex = "x:91|x:9100", .target_label = "c", .replacement = "y"},
       "__name__=m a=1 b=x:9100 c=y"},
      // An empty result takes the label away.
      {{.target_label = "a", .replacement = ""}, "__name__=m b=x:9100"},
      {{.source_labels = {"none"}, .target_label = "a"}, "__name__=m b=x:9100"},
      {{.source_labels = {"b"}, .regex = "(.*):.*()", .target_label = "a", .replacement = "$2$3"},
       "__name__=m b=x:9100"},
      // A name that no label can have: nothing happens.
      {{.source_labels = {"b"}, .regex = "(.*)", .target_label = "${1}", .replacement = "y"},
       "__name__=m a=1 b=x:9100"},
      // The metric's name is a label, too; a matching empty regex is not the default.
      {{.source_labels = {"__name__"}, .target_label = "__name__", .replacement = "n_$1"},
       "__name__=n_m a=1 b=x:9100"},
      {{.source_labels = {"none"}, .regex = "", .target_label = "c", .replacement = "y"},
       "__name__=m a=1 b=x:9100 c=y"},
      {{.source_labels = {"a"}, .regex = "", .target_label = "c", .replacement = "y"},
       "__name__=m a=1 b=x:9100"},
  };
  for (const auto& row : rows) CHECK(after(row.rule, kAB) == row.after);
  CHECK(after({.source_labels = {"a"}, .regex = "x.y", .target_label = "c", .replacement = "z"},
              {{"a", "x\ny"}}) == "a=x\ny c=z");
}

TEST_CASE("relabel: keep and drop, of which the first that drops ends") {
  const auto rule = [](Action action, std::string regex) {
    return metrics::RelabelRule{
        .action = action, .source_labels = {"a", "b"}, .regex = std::move(regex)};
  };
  CHECK(after(rule(Action::keep, "1;x.*"), kAB) != "dropped");
  CHECK(after(rule(Action::keep, "1"), kAB) == "dropped");
  CHECK(after(rule(Action::drop, "1;x.*"), kAB) == "dropped");
  CHECK(after(rule(Action::drop, "1"), kAB) != "dropped");
  CHECK(after({.action = Action::keep, .source_labels = {"none"}}, kAB) != "dropped");
  CHECK(after({.action = Action::drop, .source_labels = {"none"}}, kAB) == "dropped");
  CHECK(after({.action = Action::drop}, kAB) == "dropped");
  CHECK(after(
            std::vector<metrics::RelabelRule>{
                {.target_label = "a", .replacement = "2"},
                {.action = Action::keep, .source_labels = {"a"}, .regex = "1"},
                {.target_label = "c", .replacement = "3"}},
            kAB) == "dropped");
}

TEST_CASE("relabel: keepequal and dropequal") {
  const auto rule = [](Action action, std::vector<std::string> sources) {
    return metrics::RelabelRule{
        .action = action, .source_labels = std::move(sources), .target_label = "a"};
  };
  const LabelList same = {{"a", "1;1"}, {"b", "1"}, {"c", "1"}};
  CHECK(after(rule(Action::keepequal, {"b", "c"}), same) != "dropped");
  CHECK(after(rule(Action::keepequal, {"b"}), same) == "dropped");
  CHECK(after(rule(Action::dropequal, {"b", "c"}), same) == "dropped");
  CHECK(after(rule(Action::dropequal, {"b"}), same) != "dropped");
  CHECK(after(rule(Action::keepequal, {"none"}), {{"b", "1"}}) != "dropped");  // both are empty
}

TEST_CASE("relabel: hashmod is the end of the MD5, as Prometheus takes it") {
  const auto rule = [](std::uint64_t modulus) {
    return metrics::RelabelRule{.action = Action::hashmod,
                                .source_labels = {"a", "b"},
                                .target_label = "c",
                                .modulus = modulus};
  };
  CHECK(after(rule(1000), {{"a", "foo"}, {"b", "bar"}}) == "a=foo b=bar c=750");
  // Two rows of its own test, model/relabel/relabel_test.go.
  CHECK(
      after(
          {.action = Action::hashmod, .source_labels = {"c"}, .target_label = "d", .modulus = 1000},
          {{"c", "baz"}}) == "c=baz d=976");
  CHECK(
      after(
          {.action = Action::hashmod, .source_labels = {"a"}, .target_label = "c", .modulus = 1000},
          {{"a", "foo\nbar"}}) == "a=foo\nbar c=734");
}

TEST_CASE("relabel: labelmap copies, labeldrop and labelkeep go by the name") {
  CHECK(after({.action = Action::labelmap, .regex = "(b.*)", .replacement = "x_$1"},
              {{"b1", "1"}, {"b2", "2"}, {"c", "3"}}) == "b1=1 b2=2 c=3 x_b1=1 x_b2=2");
  CHECK(after({.action = Action::labelmap, .regex = "meta_(ng.*)"},
              {{"meta_my_baz", "bar"}, {"meta_ng", "x"}}) == "meta_my_baz=bar meta_ng=x ng=x");
  CHECK(after({.action = Action::labelmap, .regex = "a(.*)"}, {{"a1", "x"}}) == "a1=x");  // no name
  CHECK(after({.action = Action::labeldrop, .regex = "a|b.+"}, kAB) == "__name__=m b=x:9100");
  CHECK(after({.action = Action::labelkeep, .regex = "__name__|customer_id|server_name|a"}, kAB) ==
        "__name__=m a=1");
}

TEST_CASE("relabel: lowercase and uppercase") {
  const auto in_case = [](Action action, std::string value) {
    return after({.action = action, .source_labels = {"a"}, .target_label = "a"},
                 {{"a", std::move(value)}});
  };
  CHECK(in_case(Action::lowercase, "Web-01") == "a=web-01");
  CHECK(in_case(Action::uppercase, "Web-01") == "a=WEB-01");
  CHECK(in_case(Action::lowercase, "ÄÖÜß ÉÇ ĀŐŽŁŃ ΑΩΣ ЖЯЁ Ệ 서울 ×÷") ==
        "a=äöüß éç āőžłń αωσ жяё ệ 서울 ×÷");
  CHECK(in_case(Action::uppercase, "äöü éç āžłń αω жяё ệ 서울 ×÷") ==
        "a=ÄÖÜ ÉÇ ĀŽŁŃ ΑΩ ЖЯЁ Ệ 서울 ×÷");
  CHECK(after({.action = Action::uppercase, .source_labels = {"a", "b"}, .target_label = "c"},
              {{"a", "x"}, {"b", "y"}}) == "a=x b=y c=X;Y");
}

TEST_CASE("relabel: labels for the time of the rules are gone afterwards") {
  CHECK(after(
            std::vector<metrics::RelabelRule>{
                {.source_labels = {"a"}, .target_label = "__tmp", .replacement = "<$1>"},
                {.source_labels = {"__tmp"}, .target_label = "c"}},
            kAB) == "__name__=m a=1 b=x:9100 c=<1>");
}

TEST_CASE("relabel: no rules change nothing") {
  auto labels = kAB;
  CHECK(metrics::Relabeler().empty());
  CHECK(metrics::Relabeler()(labels));
  CHECK(labels == kAB);
}

TEST_CASE("relabel: what is refused, as Prometheus refuses it") {
  CHECK(problem_of({}) == "target_label: nothing beside action: replace");
  CHECK(problem_of({.target_label = ""}) == "target_label: nothing beside action: replace");
  CHECK(problem_of({.target_label = "a-b"}) == "target_label: 'a-b'");
  CHECK(problem_of({.target_label = "1$1"}) == "target_label: '1$1'");
  CHECK(problem_of({.target_label = "a_${1"}) == "target_label: 'a_${1'");
  CHECK(problem_of({.regex = "(", .target_label = "a"}) ==
        "regex: '(', no regular expression: missing )");
  CHECK(problem_of({.action = Action::hashmod, .target_label = "a"}) ==
        "modulus: nothing beside action: hashmod");
  CHECK(problem_of({.action = Action::lowercase, .target_label = "a$1"}) == "target_label: 'a$1'");
  CHECK(problem_of({.action = Action::lowercase, .target_label = "a", .replacement = "x"}) ==
        "replacement: a replacement beside action: lowercase");
  CHECK(problem_of({.action = Action::keepequal, .regex = "x", .target_label = "a"}) ==
        "regex: a regex beside action: keepequal");
  CHECK(problem_of({.action = Action::dropequal, .separator = "x", .target_label = "a"}) ==
        "separator: a separator beside action: dropequal");
  CHECK(problem_of({.action = Action::labeldrop, .source_labels = {"a"}, .regex = "x"}) ==
        "source_labels: a source_labels beside action: labeldrop");
  CHECK(problem_of({.action = Action::labeldrop, .regex = "x", .target_label = "a"}) ==
        "target_label: a target_label beside action: labeldrop");
  CHECK(problem_of({.action = Action::labelmap, .replacement = "a-$1"}) == "replacement: 'a-$1'");
  CHECK(problem_of({.action = Action::keep, .target_label = "a"}).empty());
}

TEST_CASE("relabel: a rule leaves every sample its name and whose it is") {
  for (const auto* name : {"customer_id", "server_name"}) {
    CHECK(problem_of({.target_label = name, .replacement = "x"}) ==
          cat("target_label: ", name, ", which says whose the sample is"));
    CHECK(problem_of({.action = Action::labeldrop, .regex = name}) ==
          cat("regex: '", name, "', which takes ", name, " away"));
    CHECK_FALSE(problem_of({.action = Action::labelmap, .replacement = name}).empty());
  }
  CHECK(problem_of({.target_label = "__name__", .replacement = ""}) ==
        "replacement: nothing for the metric's name");
  CHECK(problem_of({.action = Action::labeldrop}) == "regex: '(.*)', which takes __name__ away");
  CHECK(problem_of({.action = Action::labelkeep, .regex = "__name__|job"}) ==
        "regex: '__name__|job', which takes customer_id away");
  CHECK(problem_of({.action = Action::labelkeep, .regex = "job"}) ==
        "regex: 'job', which takes __name__ away");
}

TEST_CASE("relabel: a group that can only be empty is refused") {
  CHECK(problem_of({.source_labels = {"a"}, .target_label = "b", .replacement = "$1x"}) ==
        "replacement: '${1x}', and regex has no such group");
  CHECK(problem_of({.source_labels = {"a"}, .target_label = "b", .replacement = "${CLUSTER}"}) ==
        "replacement: '${CLUSTER}', and regex has no such group");
  CHECK(problem_of({.source_labels = {"a"}, .target_label = "b", .replacement = "$2"}).empty());
  CHECK(problem_of({.regex = "(?P<CLUSTER>.*)", .target_label = "b", .replacement = "${CLUSTER}"})
            .empty());
}

}  // namespace msp
