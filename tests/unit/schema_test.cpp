// The walk over a table of keys: each type of value, and what all keys of the agent have in common.
// The words of each error of the agent's own keys: config_errors_test.cpp.
#include "agent/config/schema.h"

#include <catch2/catch.hpp>

#include <set>

#include "agent/config/secrets.h"
#include "agent/config/section.h"
#include "tests/support/config_rows.h"

namespace msp {
namespace {

using namespace std::chrono_literals;
using namespace key_type;

enum class Colour { red, green };
constexpr std::string_view kColours[] = {"red", "green"};

struct Item {
  std::string name;
  bool flag = false;
};

struct Values {
  std::string text = "t";
  std::string url;
  std::string file;
  std::chrono::milliseconds duration = 15s;
  std::uint64_t size = 1 << 20;
  std::uint64_t number = 5;
  std::uint64_t rate = 1000;
  bool flag = false;
  Colour colour = Colour::red;
  Filter filter;
  std::vector<std::string> words;
  std::vector<std::string> texts;
  std::map<std::string, std::string> labels;
  std::vector<Item> items;
  int checked = 0;
};

void read_pairs(config::Section& section, std::map<std::string, std::string>& labels) {
  for (auto& [name, at, value] : section.pairs("a single value")) {
    if (value) labels.emplace(name, value->text);
  }
}

void check_item(config::Section& section, Item& item, Values& values) {
  ++values.checked;
  if (item.flag && item.name == "bad") section.reject("name", "bad", "good");
}

std::span<const std::string_view> colours() {
  return kColours;
}

constexpr ConfigKey kItem[] = {
    key<&Item::name>("name", Text{"a name"}).required(),
    key<&Item::flag>("flag", Flag{}),
};
constexpr ConfigKey kKeys[] = {
    key<&Values::text>("text", Text{"an x", [](std::string_view text) { return text == "x"; }}),
    key<&Values::url>("url", Address{"http://h"}),
    key<&Values::file>("file", Path{Path::To::file}),
    key<&Values::duration>("duration", Duration{1s, 1h}),
    key<&Values::size>("size", Size{1 << 10, 1 << 30}),
    key<&Values::number>("number", Number{2, 10}),
    key<&Values::rate>("rate", Rate{100}),
    key<&Values::flag>("flag", Flag{}),
    key<&Values::colour>("colour", Choice{kColours}),
    exclude<&Values::filter>("out", "^a"),
    include<&Values::filter>("in", "out"),
    key<&Values::words>("words", Words{"colours", "", colours}),
    key<&Values::texts>("texts",
                        Texts{"a list of y", 2, [](std::string_view text) { return text == "y"; }}),
    key<&Values::labels>("labels", Mapping{"labels", 2, rule<read_pairs>}),
    key<&Values::items>("items", Groups{"items", 2, keys_of<kItem>, rule<check_item>}),
};

struct Outcome {
  Values values;
  std::vector<std::string> errors;
};

Outcome read(const std::string& yaml) {
  Outcome outcome;
  const auto document = config::parse_document(yaml);
  REQUIRE(document.root != nullptr);
  config::Diagnostics findings("f");
  config::Section top(document.root.get(), "", findings);
  top.read(kKeys, &outcome.values);
  for (const auto& error : findings.take()) outcome.errors.push_back(error.text);
  return outcome;
}

std::string error_of(const std::string& yaml) {
  const auto errors = read(yaml).errors;
  REQUIRE(errors.size() == 1);
  return errors[0];
}

/// A file with `value` at the path of a key, and what must stand beside it.
std::string with_value(const std::string& path, const std::string& value) {
  std::string yaml, indent;
  for (auto rest = std::string_view(path); !rest.empty(); indent += "  ") {
    const auto name = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    yaml += cat(indent, name, ":", rest.empty() ? cat(" ", value) : "", "\n");
    if (name == "basic_auth") yaml += cat(indent, "  username: carol\n");
    if (name == "remote_write" && !path.ends_with(".url")) yaml += "  url: http://h/w\n";
    if (name == "probes" && !path.ends_with(".name")) yaml += "  name: p\n";
    if (name == "probes" && !path.ends_with(".target")) yaml += "  target: h:1\n";
    if (name == "scrape" && !path.ends_with(".job")) yaml += "  job: j\n";
    if (name == "scrape" && !path.ends_with(".targets")) yaml += "  targets: [h:1]\n";
    if (name == "listen" && !path.ends_with(".address")) yaml += "  address: 127.0.0.1:1\n";
  }
  if (!path.starts_with("remote_write")) yaml += "remote_write: {url: http://h/w}\n";
  return cat("customer_id: alpha\n", yaml);
}

}  // namespace

TEST_CASE("table: a value of each type") {
  const auto [values, errors] = read(
      "text: x\nurl: https://h/w\nfile: /f\nduration: 1m30s\nsize: 2KiB\nnumber: 10\n"
      "rate: unlimited\nflag: true\ncolour: green\nout: ''\nin: '^b'\nwords: [green, red]\n"
      "texts: [y]\nlabels: {a: b}\nitems: [{name: n}, {name: m, flag: true}]\n");
  CHECK(errors == std::vector<std::string>{});
  CHECK(values.text == "x");
  CHECK(values.url == "https://h/w");
  CHECK(values.file == "/f");
  CHECK(values.duration == 90s);
  CHECK(values.size == 2048);
  CHECK(values.number == 10);
  CHECK(values.rate == 0);
  CHECK(values.flag);
  CHECK(values.colour == Colour::green);
  CHECK(values.filter("b"));
  CHECK_FALSE(values.filter("c"));
  CHECK(values.words == std::vector<std::string>{"green", "red"});
  CHECK(values.texts == std::vector<std::string>{"y"});
  CHECK(values.labels == std::map<std::string, std::string>{{"a", "b"}});
  REQUIRE(values.items.size() == 2);
  CHECK(values.items[1].name == "m");
  CHECK(values.checked == 2);
  CHECK(read("items: {name: alone}\n").values.items.size() == 1);
}

TEST_CASE("table: what is not set, or has no value, is as the type has it") {
  const auto [values, errors] = read("text:\nduration: ~\nitems:\n");
  CHECK(errors.empty());
  CHECK(values.text == "t");
  CHECK(values.duration == 15s);
  CHECK(values.items.empty());
  CHECK_FALSE(values.filter("a"));  // but for an expression, whose default is in the table
  CHECK(values.filter("b"));
}

TEST_CASE("table: a value of each type that is wrong or out of range") {
  const std::pair<const char*, const char*> rows[] = {
      {"text: y", "text: found 'y'; accepted: an x"},
      {"text: ''", "text: found nothing; accepted: an x"},
      {"text: [x]", "text: found a list; accepted: an x"},
      {"url: h", "url: found 'h' with no scheme; accepted: an address such as http://h"},
      {"file: f",
       "file: found something else (not shown); accepted: an absolute path, that is one that "
       "begins "
       "with '/'"},
      {"duration: soon", "duration: found 'soon'; accepted: a duration from 1s to 1h, such as 15s"},
      {"duration: 2h", "duration: found '2h'; accepted: a duration from 1s to 1h, such as 15s"},
      {"duration: {a: b}",
       "duration: found a mapping; accepted: a duration from 1s to 1h, such as 15s"},
      {"size: 1B", "size: found '1B'; accepted: a size from 1KiB to 1GiB, such as 1MiB"},
      {"size: 5", "size: found '5'; accepted: a size from 1KiB to 1GiB, such as 1MiB"},
      {"number: 1", "number: found '1'; accepted: a number from 2 to 10, such as 5"},
      {"number: 11", "number: found '11'; accepted: a number from 2 to 10, such as 5"},
      {"number: x", "number: found 'x'; accepted: a number from 2 to 10, such as 5"},
      {"rate: 99", "rate: found '99'; accepted: samples per second from 100, or unlimited"},
      {"flag: yes", "flag: found 'yes'; accepted: false, true"},
      {"colour: blue", "colour: found 'blue'; accepted: red, green"},
      {"out: '('",
       "out: found '(', no regular expression: missing ); accepted: an RE2 regular expression, "
       "such "
       "as '^(veth|docker)'"},
      {"out: a\nin: b", "in: found out as well; accepted: one of the two"},
      {"words: red", "words: found a single value; accepted: a list of colours: red, green"},
      {"words: [rad]", "words[0]: found 'rad', did you mean 'red'?; accepted: red, green"},
      {"texts: [y, z]", "texts[1]: found 'z'; accepted: a list of y"},
      {"texts: [y, y, y]", "texts: found 3 entries; accepted: at most 2"},
      {"labels: {a: 1, b: 2, c: 3}", "labels: found 3 labels; accepted: at most 2"},
      {"items: x",
       "items: found a single value; accepted: a mapping with the key name, or a list of them"},
      {"items: [{flag: true}]", "items[0].name: found nothing; accepted: a name"},
      {"items: [{name: bad, flag: true}]", "items[0].name: found bad; accepted: good"},
      {"items: [{name: a}, ~]", "items[1]: found nothing; accepted: a mapping with the key name"},
      {"items: [{name: a}, {name: b}, {name: c}]", "items: found 3 items; accepted: at most 2"},
  };
  for (const auto& [yaml, error] : rows) {
    INFO(yaml);
    CHECK(error_of(yaml) == error);
  }
}

TEST_CASE("table: a key that is not in it is named, with the nearest one") {
  CHECK(error_of("colur: red")
            .starts_with(
                "colur: unknown key, did you mean 'colour'?; accepted: colour, duration, file, "));
  CHECK(error_of("items: {name: a, flg: true}") ==
        "items.flg: unknown key, did you mean 'flag'?; accepted: flag, name");
  CHECK(error_of("far_away: 1").starts_with("far_away: unknown key; accepted: "));
}

TEST_CASE("schema: the defaults are in the ranges of their keys, and the paths lead to the keys") {
  auto config = config::default_config();
  config.endpoints.emplace_back();
  config.scrape.emplace_back();
  std::set<std::string> paths;
  config::visit_values(config,
                       [&](const ConfigKey& key, const std::string& path, const void* field) {
                         INFO(path);
                         CHECK(paths.insert(path).second);
                         CHECK(&config::find_key(path) == &key);
                         if (path == "remote_write.send_every" || path == "scrape.interval")
                           return;  // 0: the interval
                         if (std::holds_alternative<key_type::Group>(key.type)) return;
                         const auto value = config::value_of(key, field);
                         if (value.empty()) return;
                         CHECK(test::errors_of(with_value(path, cat("'", value, "'"))).empty());
                       });
  CHECK(paths.contains("collectors.netdev.device_include"));
  CHECK(paths.contains("remote_write.tls.ca_file"));
  config::visit_keys([&](const ConfigKey&, const std::string& path) { paths.erase(path); });
  CHECK(paths.empty());
}

TEST_CASE("schema: the value of a secret is in no text that a person reads") {
  const std::string secret = "hunter2-of-the-table";
  int found = 0;
  config::visit_keys([&](const ConfigKey& key, const std::string& path) {
    if (key.privacy != Privacy::secret) return;
    INFO(path);
    ++found;
    const bool is_list = std::holds_alternative<Texts>(key.type);
    const bool is_url = std::holds_alternative<Address>(key.type) || is_list;
    const auto text = is_url ? cat("http://h/w?token=", secret) : secret;
    const auto value = std::holds_alternative<Mapping>(key.type) ? cat("{x-key: ", secret, "}")
                       : is_list                                 ? cat("['", text, "']")
                                                                 : text;
    // In the logs, and wherever a server repeats it:
    const auto outcome = config::parse_config(with_value(path, value) + "remote_write2: x\n", "f");
    auto said = cat("a server says: ", secret);
    config::secrets_of(outcome.config).hide(said);
    CHECK(said == "a server says: ***");
    // In an error about it, or in its line:
    for (const auto& wrong : {cat("[", value, "]"), cat("\"", text, "\\n\""), cat(text, " ${")}) {
      for (const auto& error : config::parse_config(with_value(path, wrong), "f").errors) {
        CHECK(cat(error.text, error.excerpt).find(secret) == std::string::npos);
      }
    }
  });
  CHECK(found == 14);
}

TEST_CASE("schema: the values of hidden keys are in no error") {
  config::visit_keys([&](const ConfigKey& key, const std::string& path) {
    if (key.privacy == Privacy::open || std::holds_alternative<Texts>(key.type)) return;
    INFO(path);
    for (const std::string wrong : {"a:hunter2", "[hunter2]", "{a: hunter2}"}) {
      for (const auto& error : config::parse_config(with_value(path, wrong), "f").errors) {
        // The address of an endpoint is shown, without its login and query.
        if (path == "remote_write.url") continue;
        CHECK(cat(error.text, error.excerpt).find("hunter2") == std::string::npos);
      }
    }
  });
}

}  // namespace msp
