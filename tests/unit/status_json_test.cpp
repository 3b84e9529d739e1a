#include <catch2/catch.hpp>
#include <cmath>
#include <random>
#include <string>

#include "agent/base/json.h"
#include "agent/base/text.h"
#include "agent/cli/seen_status.h"
#include "agent/config/document.h"

namespace msp {
namespace {

std::string random_text(std::mt19937& random) {
  // Bytes of every kind, and whole characters at the edges of what YAML and terminals take.
  const char* const kPieces[] = {
      "\"",       "\\",           "\n",   "\r\n", "\t",           "\xc2\x85",
      "\xc2\x9b", "\xe2\x80\xa8", "\x7f", "---",  "\xef\xbb\xbf", "\xf0\x9f\x98\x80",
      ": ",       " #",           "{["};
  std::string text;
  for (auto left = random() % 40; left > 0; --left) {
    if (random() % 2 == 0) {
      text += kPieces[random() % std::size(kPieces)];
    } else {
      text += static_cast<char>(random() % 256);
    }
  }
  return text;
}

TEST_CASE("what the JSON writer writes, the YAML reader reads back") {
  std::mt19937 random(20261121);
  for (int round = 0; round < 2000; ++round) {
    auto wanted = random_text(random);
    JsonWriter writer;
    writer.open_list("items");
    writer.open_object();
    writer.add("text", wanted);
    writer.close();
    writer.close();
    writer.add("number", 1.5);
    const auto json = writer.finish();
    CAPTURE(json);
    const auto document = config::parse_document(json);
    REQUIRE(document.error.empty());
    const auto items = cli::items_of(document.root.get(), "items");
    REQUIRE(items.size() == 1);
    make_utf8(wanted);
    REQUIRE(cli::find_value(items[0], "text")->text == wanted);
    REQUIRE(cli::number_of(document.root.get(), "number") == 1.5);
  }
}

TEST_CASE("JSON escapes what does not belong on a terminal, and is valid whatever it is given") {
  CHECK(json_string("a \"b\" \\ \n\x1f\x7f \xc3\xa4") ==
        "\"a \\\"b\\\" \\\\ \\u000a\\u001f\\u007f \xc3\xa4\"");
  CHECK(json_string("a\xff\xc2\x9b\xe2\x80\xae") == "\"a\xef\xbf\xbd\\u009b\\u202e\"");
}

TEST_CASE("JSON on one line has the same members") {
  JsonWriter writer(JsonWriter::Layout::one_line);
  writer.add("a", 1);
  writer.open_list("b");
  writer.open_object();
  writer.add("c", "d");
  CHECK(writer.finish() == "{\"a\":1,\"b\":[{\"c\":\"d\"}]}\n");
}

TEST_CASE("JSON has no NaN, and an empty list is one") {
  JsonWriter writer;
  writer.add("a", NAN);
  writer.add("b", INFINITY);
  writer.add("c", true);
  writer.add("d", 18446744073709551615U);
  writer.open_list("e");
  CHECK(writer.finish() ==
        "{\n  \"a\": null,\n  \"b\": null,\n  \"c\": true,\n  \"d\": 18446744073709551615,\n"
        "  \"e\": []\n}\n");
}

TEST_CASE("what is shown to a person holds no command to a terminal") {
  const auto document = config::parse_document(R"({"a": "x\u001b[2Jy\u009bz"})");
  CHECK(cli::text_of(document.root.get(), "a") == "x\\x1b[2Jy\\u009bz");
}

}  // namespace
}  // namespace msp
