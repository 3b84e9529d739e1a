#include "tests/support/configuration_pages.h"

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/schema.h"
#include "collectors/registry.h"

namespace msp::test {
namespace {

// Texts have their code in ``; what is in a list below is a paragraph or an example.

constexpr std::string_view kDescription[] = {
    "`/etc/msp-agent.yaml` is YAML. Two values must be filled in: `customer_id` and "
    "`remote_write.url`. The agent refuses an unknown key, a duplicate key and a value out of "
    "range. "
    "It reports all errors of a file at once, each with its line, its column and the values that "
    "are "
    "accepted; then msp-agent(8) ends with exit code 78.",
    "`${NAME}` and `${NAME:-default}` in a value are replaced from the environment; `$$` stands "
    "for a "
    "`$`. Durations are written as 100ms, 15s, 5m, 1h or 7d, sizes as 512MiB or 1GiB."};

/// A heading stands before this key.
struct Heading {
  std::string_view first_key;
  std::string_view text;
};
constexpr Heading kHeadings[] = {
    {"customer_id", "The server"}, {"interval", "Collecting"},  {"remote_write", "Sending"},
    {"buffer", "The buffer"},      {"listen", "Being scraped"}, {"log", "The log"},
    {"scrape", "Scraping"},        {"probes", "Probes"},        {"metrics", "What is sent"}};

struct Example {
  std::string_view text;
  std::string_view yaml;
};
constexpr Example kExamples[] = {
    {"The smallest configuration:",
     "customer_id: alpha\n"
     "remote_write:\n"
     "  url: https://monitor.example.com/api/v1/write\n"},
    {"With a login, a private CA and a proxy:",
     "customer_id: alpha\n"
     "server_name: web-01\n"
     "environment: production\n"
     "labels: {csp: aws, region: ap-northeast-2}\n"
     "remote_write:\n"
     "  url: https://monitor.example.com/api/v1/write\n"
     "  basic_auth: {username: alpha, password_file: /etc/msp-agent.password}\n"
     "  tls: {ca_file: /etc/msp-agent-ca.pem}\n"
     "  proxy_url: http://proxy.example.com:3128\n"},
    {"Two endpoints and a larger buffer:",
     "customer_id: alpha\n"
     "remote_write:\n"
     "  - url: https://monitor.example.com/api/v1/write\n"
     "    bearer_token_file: /etc/msp-agent.token\n"
     "  - url: https://mimir.example.com/api/v1/push\n"
     "    protocol: prometheus-1.0\n"
     "    headers: {X-Scope-OrgID: alpha}\n"
     "buffer: {max_size: 1GiB, max_age: 30d}\n"},
    {"With exporters, and without some of their metrics:",
     "customer_id: alpha\n"
     "remote_write:\n"
     "  url: https://monitor.example.com/api/v1/write\n"
     "scrape:\n"
     "  - job: mysqld\n"
     "    targets: [127.0.0.1:9104]\n"
     "  - job: redis\n"
     "    targets: ['http://127.0.0.1:9121/metrics']\n"
     "    relabel: {action: labeldrop, regex: redis_mode}\n"
     "metrics: {drop: ['go_.*', 'process_.*']}\n"},
    {"An exporter that a Prometheus scrapes, and that sends nothing:",
     "listen:\n"
     "  address: 127.0.0.1:9100\n"}};

constexpr std::string_view kManualBegin = R"(.\" Made from agent/config/schema.cpp and collectors/:
.\" MSP_UPDATE_GOLDEN=1 build/dev/tests/unit_tests writes it anew.
.Dd November 27, 2026
.Dt MSP-AGENT.YAML 5
.Os Linux
.Sh NAME
.Nm msp-agent.yaml
.Nd configuration of msp-agent
.Sh DESCRIPTION
)";
constexpr std::string_view kManualEnd = R"(.Sh SEE ALSO
.Xr msp-agent 8
)";
constexpr std::string_view kManualFiles = R"(.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/msp-agent.yaml
The installed file shows every key with its default.
.El
.Sh EXAMPLES
)";

constexpr std::string_view kMarkdownBegin = R"(# Configuration

Every key of `/etc/msp-agent.yaml`. [etc/msp-agent.yaml](../etc/msp-agent.yaml) has the keys with their defaults, ready
to edit; `msp-agent check --offline` checks a configuration. [Delivery](delivery.md) and [The buffer](buffer.md) explain
what the keys do; [Metrics](metrics.md) lists what is sent.

This page, the manual page msp-agent.yaml(5) and etc/msp-agent.yaml are made from the code:
`MSP_UPDATE_GOLDEN=1 build/dev/tests/unit_tests` writes them, and a test compares.
)";

constexpr std::string_view kYamlBegin =
    R"(# msp-agent: the server's labels, what is collected, where it is sent.
#
# Two values must be filled in: customer_id and remote_write.url.
# A line that begins with '#key:' shows a key with its default; '# ' begins an explanation.
# ${NAME} and ${NAME:-default} in a value are replaced from the environment; '$$' stands for a '$'.
)";

// What is known of a key.

template <typename... Types>
bool is_any(const ConfigKey& key) {
  return (std::holds_alternative<Types>(key.type) || ...);
}

bool has_keys(const ConfigKey& key) {
  return is_any<key_type::Group, key_type::Groups>(key);
}

struct Entry {
  const ConfigKey& key;
  std::string path;
  std::string value;  // the default as YAML; empty: there is none

  std::size_t depth() const {
    return static_cast<std::size_t>(std::count(path.begin(), path.end(), '.'));
  }
  /// The text in etc/msp-agent.yaml too, and the rest of it.
  std::string_view brief() const { return key.help.text.substr(0, key.help.text.find('\n')); }
  std::string_view more() const {
    const auto end = key.help.text.find('\n');
    return end == key.help.text.npos ? "" : key.help.text.substr(end + 1);
  }
};

std::string names_on_by_default() {
  std::vector<std::string_view> names;
  for (const auto& entry : collectors::collector_registry()) {
    if (entry.default_on) names.push_back(entry.name);
  }
  return cat("[", config::one_of(names), "]");
}

std::vector<Entry> entries() {
  static const config::Config defaults = [] {
    auto config = config::default_config();
    config.endpoints.emplace_back();
    config.scrape.emplace_back();
    config.probes.emplace_back();
    config.relabel.emplace_back();
    config.listen.clients.emplace_back();
    for (const auto& [collector, options] : config.collector_options) {
      for (const auto& key : options.keys()) {
        const auto* const groups = std::get_if<key_type::Groups>(&key.type);
        if (groups != nullptr) groups->append(key.field(options.values(), key.name));
      }
    }
    return config;
  }();
  std::vector<Entry> all;
  config::visit_values(
      defaults, [&](const ConfigKey& key, const std::string& path, const void* field) {
        auto value = key.help.by_default.empty() ? config::value_of(key, field) : std::string();
        if (path == "collectors.enabled") value = names_on_by_default();
        all.push_back({key, path, value});
      });
  return all;
}

std::string kind_of(const ConfigKey& key) {
  using namespace key_type;
  if (const auto* choice = std::get_if<Choice>(&key.type)) {
    std::string words;
    for (const auto word : choice->words) words += cat(words.empty() ? "" : " | ", word);
    return words;
  }
  if (const auto* path = std::get_if<Path>(&key.type)) {
    return path->to == Path::To::folder ? "folder" : "file";
  }
  if (const auto* words = std::get_if<Words>(&key.type)) return cat("list of ", words->noun);
  if (is_any<Address>(key)) return "URL";
  if (is_any<Duration>(key)) return "duration";
  if (is_any<Size>(key)) return "size";
  if (is_any<Number, Rate>(key)) return "number";
  if (is_any<Flag>(key)) return "true | false";
  if (is_any<Regex>(key)) return "expression";
  if (is_any<Texts>(key)) return "list";
  if (is_any<Mapping, Group>(key)) return "mapping";
  if (is_any<Groups>(key)) return "mapping | list of mappings";
  return "text";
}

std::string most_of(const ConfigKey& key) {
  using namespace key_type;
  if (const auto* type = std::get_if<Mapping>(&key.type)) return cat(type->max, " ", type->noun);
  if (const auto* type = std::get_if<Texts>(&key.type)) return cat(type->max, " entries");
  if (const auto* type = std::get_if<Groups>(&key.type)) return cat(type->max, " ", type->noun);
  return {};
}

/// The sentences about a value, each a text of its own.
std::vector<std::string> facts_of(const Entry& entry) {
  const auto& key = entry.key;
  std::vector<std::string> facts;
  if (const auto range = config::range_of(key); !range.empty())
    facts.push_back(cat("Range: ", range, "."));
  const auto* const text = std::get_if<key_type::Text>(&key.type);
  if (text != nullptr && key.privacy == Privacy::open) {
    facts.push_back(cat("Accepted: ", text->accepted, "."));
  }
  if (const auto most = most_of(key); !most.empty()) facts.push_back(cat("At most ", most, "."));
  if (key.privacy == Privacy::secret) {
    const auto* const url = std::get_if<key_type::Address>(&key.type);
    facts.emplace_back(url != nullptr ? url->may_have_user ? "Secret: the login in it."
                                                           : "Secret: the query in it, behind `?`."
                       : is_any<key_type::Mapping>(key) ? "The values are secret."
                                                        : "Secret.");
  }
  const auto* const path = std::get_if<key_type::Path>(&key.type);
  if (path != nullptr && path->to == key_type::Path::To::secret_file) {
    facts.emplace_back("Its content is secret.");
  }
  if (has_keys(key)) return facts;
  const bool is_code = is_any<key_type::Regex, key_type::Path, key_type::Words>(key);
  if (key.is_required) {
    facts.push_back(key.unless.empty() ? "Required." : cat("Required without `", key.unless, "`."));
  } else if (!key.help.by_default.empty()) {
    facts.push_back(cat("Default: ", key.help.by_default, "."));
  } else if (entry.value.empty()) {
    facts.emplace_back("Default: none.");
  } else {
    facts.push_back(is_code ? cat("Default: `", entry.value, "`.")
                            : cat("Default: ", entry.value, "."));
  }
  return facts;
}

/// Calls `on_heading` or `on_entry` for what the pages have, in their order. The group that a heading
/// is for has no entry; one without a text is not mentioned.
void for_each_part(const std::function<void(std::string_view heading, const Entry*)>& on_heading,
                   const std::function<void(const Entry&)>& on_entry) {
  for (const auto& entry : entries()) {
    const auto* const heading =
        std::find_if(std::begin(kHeadings), std::end(kHeadings),
                     [&](const Heading& one) { return one.first_key == entry.path; });
    if (heading != std::end(kHeadings)) {
      on_heading(heading->text, has_keys(entry.key) ? &entry : nullptr);
      if (has_keys(entry.key)) continue;
    }
    if (!entry.brief().empty()) on_entry(entry);
  }
}

// Texts.

/// Words of `text`, those of code in `` together with what is attached to it.
std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  bool is_code = false;
  for (const char c : text) {
    if (c == '`') is_code = !is_code;
    if (c == ' ' && !is_code) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string filled(std::string_view text, std::size_t columns, std::string_view indent = "") {
  std::string out, line;
  for (const auto& word : words_of(text)) {
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > columns) {
      out += cat(indent, line, "\n");
      line.clear();
    }
    line += cat(line.empty() ? "" : " ", word);
  }
  return line.empty() ? out : cat(out, indent, line, "\n");
}

// mdoc(7)

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '\\' ? std::string("\\e") : std::string(1, c);
  return out;
}

/// `code` as arguments of a macro. A long word may break behind a '|' or before a '/'.
std::string arguments(std::string_view code) {
  std::string out;
  const bool is_long = code.size() > 60;
  for (const auto c : code) {
    out += c == '\\' ? std::string("\\e") : std::string(1, c);
    if (is_long && c == '|') out += "\\:";
  }
  const bool is_punctuation = code.size() == 1 && std::ispunct(code.front()) != 0;
  return is_punctuation && code != "-" && code != "$" && code != "/" ? cat("\\&", out) : out;
}

/// A sentence or a part of one: a line for each `code`, and for what is between.
class Manual {
 public:
  void line(std::string_view text) { out_ += cat(text, "\n"); }

  void text(std::string_view text) {
    std::string plain;
    const auto flush = [&] {
      if (!plain.empty()) {
        const bool is_macro = plain.front() == '.' || plain.front() == '\'';
        out_ += filled(cat(is_macro ? "\\&" : "", plain), 120);
      }
      plain.clear();
    };
    const auto words = words_of(text);
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto& word = words[i];
      if (word.starts_with('`')) {
        flush();
        const auto end = word.find('`', 1);
        const auto code = std::string_view(word).substr(1, end - 1);
        std::string after;
        for (const char c : std::string_view(word).substr(end + 1)) after += cat(" ", c);
        line(cat(".", macro(code), " ", arguments(code), after));
      } else if (const auto open = word.find('(');
                 word.ends_with(')') && open > 0 && open + 3 == word.size()) {  // msp-agent(8)
        flush();
        line(cat(".Xr ", word.substr(0, open), " ", word[open + 1]));
      } else {
        plain += cat(plain.empty() ? "" : " ", escaped(word));
        const bool ends = word.ends_with('.') && word != ".." && i + 1 < words.size();
        if (ends) flush();
      }
    }
    flush();
  }

  std::string take() { return std::move(out_); }

 private:
  static std::string_view macro(std::string_view code) {
    static const auto keys = [] {
      std::set<std::string> names;
      for (const auto& entry : entries()) {
        names.insert(entry.path);
        names.emplace(entry.key.name);
      }
      return names;
    }();
    if (keys.contains(std::string(code))) return "Ic";
    return code.starts_with('/') ? "Pa" : "Ql";
  }

  std::string out_;
};

}  // namespace

std::string manual_page() {
  Manual page;
  bool is_in_list = false;
  const auto end_list = [&] {
    if (is_in_list) page.line(".El");
    is_in_list = false;
  };
  const char* between = "";
  for (const auto paragraph : kDescription) {
    if (*between != '\0') page.line(between);
    page.text(paragraph);
    between = ".Pp";
  }
  for_each_part(
      [&](std::string_view heading, const Entry* group) {
        end_list();
        page.line(cat(".Ss ", heading));
        if (group == nullptr) return;
        page.text(group->brief());
        page.text(group->more());
        for (const auto& fact : facts_of(*group)) page.text(fact);
      },
      [&](const Entry& entry) {
        if (!is_in_list) page.line(".Bl -tag -width Ds");
        is_in_list = true;
        page.line(cat(".It Ic ", entry.path, " : Ar ", kind_of(entry.key)));
        page.text(entry.brief());
        page.text(entry.more());
        for (const auto& fact : facts_of(entry)) page.text(fact);
        if (entry.key.help.example.empty()) return;
        page.line("Example:");
        page.line(cat(".Ql ", arguments(entry.key.help.example)));
      });
  end_list();
  auto out = cat(kManualBegin, page.take(), kManualFiles);
  for (const auto& [text, yaml] : kExamples) {
    if (text != kExamples[0].text) out += ".Pp\n";
    out += cat(text, "\n.Bd -literal -offset indent\n", yaml, ".Ed\n");
  }
  return cat(out, kManualEnd);
}

std::string markdown_page() {
  constexpr std::size_t kColumns = 120;
  std::string out(kMarkdownBegin);
  for (const auto paragraph : kDescription) out += cat("\n", filled(paragraph, kColumns));
  const auto joined = [](const Entry& entry, std::string facts) {
    for (const auto& fact : facts_of(entry)) facts += cat(facts.empty() ? "" : " ", fact);
    return filled(facts, kColumns);
  };
  for_each_part(
      [&](std::string_view heading, const Entry* group) {
        out += cat("\n## ", heading, "\n");
        if (group == nullptr || group->brief().empty()) return;
        out += cat("\n", filled(cat(group->brief(), " ", group->more()), kColumns));
        if (const auto facts = joined(*group, ""); !facts.empty()) out += cat("\n", facts);
      },
      [&](const Entry& entry) {
        out += cat("\n### `", entry.path, "`\n\n",
                   filled(cat(entry.brief(), " ", entry.more()), kColumns), "\n",
                   joined(entry, cat("Type: ", kind_of(entry.key), ".")));
        if (entry.key.help.example.empty()) return;
        out += "\n```yaml\n";
        std::string indent;
        for (auto rest = std::string_view(entry.path); !rest.empty(); indent += "  ") {
          const auto name = rest.substr(0, rest.find('.'));
          rest.remove_prefix(std::min(name.size() + 1, rest.size()));
          out += cat(indent, name, ":", rest.empty() ? cat(" ", entry.key.help.example) : "", "\n");
        }
        out += "```\n";
      });
  out += "\n## Examples\n";
  for (const auto& [text, yaml] : kExamples) out += cat("\n", text, "\n\n```yaml\n", yaml, "```\n");
  return out;
}

namespace {

/// Without the marks of code, where it is one word or an example of a value.
std::string yaml_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto begin = text.find('`');
    out += text.substr(0, begin);
    if (begin == text.npos) break;
    const auto end = text.find('`', begin + 1);
    const auto code = text.substr(begin + 1, end - begin - 1);
    const bool is_word =
        code.find(' ') == code.npos || code.starts_with('[') || code.starts_with('{');
    const bool has_letter =
        std::any_of(code.begin(), code.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
    if (!is_word) {
      out += cat("`", code, "`");
    } else {
      const bool is_clear = has_letter || code.starts_with('\'') || code.starts_with('[');
      out += is_clear ? std::string(code) : cat("'", code, "'");
    }
    text.remove_prefix(end + 1);
  }
  return out;
}

std::string yaml_comment(const Entry& entry) {
  auto text = yaml_text(entry.brief());
  const auto add = [&](std::string_view sentence) {
    text += cat(text.empty() ? "" : " ", sentence);
  };
  for (const auto& fact : facts_of(entry)) {
    const bool is_new = fact.starts_with("Range: ") || fact.starts_with("Required") ||
                        (fact.starts_with("Accepted: ") && entry.depth() == 0) ||
                        !entry.key.help.by_default.empty();
    if (is_new) add(fact);
  }
  if (const auto* choice = std::get_if<key_type::Choice>(&entry.key.type)) {
    const auto is_named = [&](std::string_view word) { return text.find(word) != text.npos; };
    if (!std::all_of(choice->words.begin(), choice->words.end(), is_named)) {
      add(cat("One of ", config::one_of(choice->words), "."));
    }
  }
  if (entry.path == "collectors.enabled") {
    std::vector<std::string_view> others;
    for (const auto& collector : collectors::collector_registry()) {
      if (!collector.default_on) others.push_back(collector.name);
    }
    if (!others.empty()) add(cat("Off by default: ", config::one_of(others), "."));
  }
  return text;
}

std::string yaml_value(const Entry& entry) {
  const auto& key = entry.key;
  if (has_keys(key)) return {};
  if (is_any<key_type::Texts>(key) && entry.value.empty()) return " []";
  if (key.is_required) return " \"\"";
  if (is_any<key_type::Regex>(key)) return cat(" '", entry.value, "'");
  if (is_any<key_type::Mapping>(key)) return " {}";
  if (is_any<key_type::Words>(key) && entry.value.empty()) return " []";
  return entry.value.empty() ? std::string() : cat(" ", entry.value);
}

}  // namespace

std::string commented_yaml() {
  constexpr std::size_t kColumns = 100;
  std::string out(kYamlBegin);
  bool is_first = false;  // of its mapping
  for (const auto& entry : entries()) {
    const std::string indent(2 * entry.depth(), ' ');
    const auto comment = yaml_comment(entry);
    if (entry.depth() == 0 || (entry.depth() == 1 && !is_first)) out += "\n";
    is_first = has_keys(entry.key);
    out += filled(comment, kColumns, cat(indent, "# "));
    const bool is_filled_in = entry.key.is_required && !entry.path.starts_with("scrape.") &&
                              !entry.path.starts_with("probes.") &&
                              !entry.path.starts_with("listen.");
    out += cat(indent, is_filled_in ? "" : "#", entry.key.name, ":", yaml_value(entry), "\n");
  }
  return out;
}

}  // namespace msp::test
