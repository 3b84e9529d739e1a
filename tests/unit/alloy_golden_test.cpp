// Every folder of tests/fixtures/alloy, prometheus and process_exporter is a configuration as people
// have it, and what must come of it:
//
//   *.alloy, prometheus.yml or processes.yml   what is converted; the last is process-exporter's
//   *.yml, *.json               files that it names
//   alloy.env                   the variables of the unit, where it has some
//   expected.yaml               the result; missing where there is none
//   expected.txt                the notes, and the error where there is no result
//
// MSP_UPDATE_GOLDEN=1 writes the expected files anew: read the difference before you keep it.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/import/conversion.h"
#include "agent/import/env_file.h"

namespace fs = std::filesystem;

namespace msp {
namespace {

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// An expected file as it is, or as it is now where golden files are updated.
std::string golden(const fs::path& path, const std::string& got) {
  if (std::getenv("MSP_UPDATE_GOLDEN") != nullptr) {
    if (got.empty()) {
      fs::remove(path);
    } else {
      std::ofstream(path, std::ios::binary) << got;
    }
  }
  return fs::exists(path) ? slurp(path) : "";
}

struct Case {
  import::ForeignAgent from;
  std::vector<import::ForeignFile> files;
  std::optional<import::ForeignFile> env_file;
  std::vector<import::ForeignFile> named;
};

Case load(const fs::path& folder) {
  Case loaded{import::ForeignAgent::alloy, {}, std::nullopt, {}};
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto name = entry.path().filename().string();
    if (name == "prometheus.yml") loaded.from = import::ForeignAgent::prometheus;
    if (name == "processes.yml") loaded.from = import::ForeignAgent::process_exporter;
    if (name == "prometheus.yml" || name == "processes.yml" || name.ends_with(".alloy")) {
      loaded.files.push_back({name, slurp(entry.path())});
    } else if (name.ends_with(".yml") || name.ends_with(".json")) {
      loaded.named.push_back({name, slurp(entry.path())});
    }
    if (name == "alloy.env") loaded.env_file = {name, slurp(entry.path())};
  }
  std::ranges::sort(loaded.files, {}, &import::ForeignFile::name);
  std::ranges::sort(loaded.named, {}, &import::ForeignFile::name);
  return loaded;
}

std::string told(const import::Conversion& conversion) {
  std::string text;
  for (const auto& note : conversion.notes) text += note.to_string() + "\n";
  if (!conversion.yaml) text += conversion.error + "\n";
  return text;
}

/// The result with what the notes ask for filled in: what is left blank, and variables of the host.
std::string filled_in(std::string yaml) {
  const std::string_view url = "url: \"\"   # FILL IN";
  if (const auto at = yaml.find(url); at != yaml.npos) {
    yaml.replace(at, url.size(), "url: https://metrics.example.com/api/v1/write");
  }
  const std::string_view blank = "\"\"   # FILL IN";
  for (auto at = yaml.find(blank); at != yaml.npos; at = yaml.find(blank)) {
    const auto is_of = [&](std::string_view key) {
      return std::string_view(yaml).substr(0, at).ends_with(cat(key, ": "));
    };
    yaml.replace(at, blank.size(),
                 is_of("address") ? "127.0.0.1:9999   #"
                 : is_of("_file") ? "/alpha   #"
                                  : "alpha   #");
  }
  return yaml;
}

void set_variables(const Case& loaded) {
  for (const auto* const name :
       {"GCLOUD_RW_API_KEY", "NODE_NAME", "THIRD_TOKEN", "TAIL", "REGION", "CENTRE_HOST",
        "CENTRE_PORT", "CUSTOMER_ID", "CUSTOMER", "HOSTNAME", "NODE", "UNSET", "CSP",
        "CREDENTIALS_DIRECTORY", "SITE_URL", "RELAY_ADDRESS"}) {
    const std::string_view what = name;
    setenv(name,
           what == "CENTRE_PORT"             ? "8428"
           : what == "RELAY_ADDRESS"         ? "10.0.0.1"
           : what == "CREDENTIALS_DIRECTORY" ? "/run"
                                             : "value",
           1);
  }
  if (!loaded.env_file) return;
  import::Notes notes;
  const import::EnvFile env(loaded.env_file->name, loaded.env_file->text, notes);
  for (const auto* const name :
       {"CUSTOMER_ID", "SERVER_NAME", "CSP", "REGION", "REMOTE_WRITE_URL", "GOOD_URL", "OTHER_URL",
        "TOKEN", "INTERVAL", "TENANT", "HOST_NAME", "VM_HOST", "VM_TOKEN", "SITE", "URL",
        "PASSWORD", "EMPTY"}) {
    if (const auto value = env.expand(cat("${", name, "}"))) setenv(name, value->c_str(), 1);
  }
}

TEST_CASE("convert: every configuration of the fixtures becomes what is expected", "[golden]") {
  int cases = 0;
  for (const auto* const agent : {"alloy", "prometheus", "process_exporter"}) {
    for (const auto& folder : fs::directory_iterator(fs::path(FIXTURES) / agent)) {
      INFO(folder.path().string());
      ++cases;
      const auto loaded = load(folder.path());
      REQUIRE_FALSE(loaded.files.empty());
      const auto got = import::convert(loaded.from, loaded.files, loaded.env_file, loaded.named);
      CHECK(got.yaml.value_or("") ==
            golden(folder.path() / "expected.yaml", got.yaml.value_or("")));
      CHECK(told(got) == golden(folder.path() / "expected.txt", told(got)));
      CHECK(got.yaml.has_value() == got.error.empty());
      if (!got.yaml) continue;
      set_variables(loaded);
      for (const auto& error : config::parse_config(filled_in(*got.yaml), "f").errors) {
        FAIL_CHECK("msp-agent refuses the result: " << error.to_string());
      }
    }
  }
  CHECK(cases >= 40);
}

TEST_CASE("convert: what is noted stands in the result too, and no secret of a variable does") {
  int notes = 0;
  for (const auto* const agent : {"alloy", "prometheus", "process_exporter"}) {
    for (const auto& folder : fs::directory_iterator(fs::path(FIXTURES) / agent)) {
      INFO(folder.path().string());
      const auto loaded = load(folder.path());
      const auto got = import::convert(loaded.from, loaded.files, loaded.env_file, loaded.named);
      for (const auto* const secret : {"hush", "hunter2", "hunter3", "p$ss"}) {
        CHECK(told(got).find(secret) == std::string::npos);
      }
      if (!got.yaml) continue;
      for (const auto& note : got.notes) {
        ++notes;
        INFO(note.to_string());
        CHECK(got.yaml->find(cat("#   ", note.place(), note.text, "\n")) != std::string::npos);
      }
      if (loaded.env_file) CHECK(got.yaml->find("hush") == std::string::npos);
    }
  }
  CHECK(notes > 100);
}

/// Whether `conversion` names `key`, or says of one of the blocks it is in (by their lines) that it
/// is left out or not needed.
bool names(const import::Conversion& conversion, const std::string& key,
           const std::vector<int>& around) {
  return std::any_of(conversion.notes.begin(), conversion.notes.end(),
                     [&](const import::Note& note) {
                       if (note.text.find(key) != std::string::npos) return true;
                       return (note.kind == import::Note::Kind::left_out ||
                               note.text.find(": not needed: ") != std::string::npos) &&
                              std::find(around.begin(), around.end(), note.line) != around.end();
                     });
}

TEST_CASE("convert: a key that nobody knows is named, whatever block it stands in") {
  const std::string key = "nobody_knows_this";
  int keys = 0;
  for (const auto& folder : fs::directory_iterator(fs::path(FIXTURES) / "alloy")) {
    const auto loaded = load(folder.path());
    if (loaded.files.size() != 1) continue;
    const auto& text = loaded.files.front().text;
    std::vector<int> around;
    int line = 0;
    for (std::string_view rest = text; auto content = next_line(rest);) {
      ++line;
      const auto shown = trim(*content);
      if (shown.starts_with('}') && !around.empty()) around.pop_back();
      if (!shown.ends_with('{')) continue;
      around.push_back(line);
      if (shown.ends_with("= {")) continue;  // an object's keys are the user's own
      const auto at = static_cast<std::size_t>(rest.data() - text.data());
      auto changed = loaded.files;
      changed.front().text.insert(at, key + " = 1\n");
      const auto got = import::convert(import::ForeignAgent::alloy, changed, loaded.env_file);
      INFO(folder.path().string() << ":" << line << " " << got.error);
      if (!got.yaml) continue;
      ++keys;
      CHECK(names(got, key, around));
    }
  }
  CHECK(keys > 60);
}

}  // namespace
}  // namespace msp
