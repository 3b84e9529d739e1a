// Texts from anywhere, converted as Alloy's and as Prometheus' configuration: no crash, no endless
// work, and an answer that keeps its promise, which is a configuration that msp-agent loads or an
// error, never both or neither. libFuzzer takes LLVMFuzzerTestOneInput as it is; without it this is
// a program:
//
//     alloy_fuzz [--runs=N] [--seed=N] [file or directory]...
//
// reads every file, those of folders inside as well, then N mutations of them.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/text.h"
#include "agent/config/config.h"
#include "agent/import/conversion.h"
#include "tests/support/fuzz_input.h"

namespace {

std::uint64_t g_results = 0;

void require(bool holds, std::string_view what) {
  if (holds) return;
  std::fprintf(stderr, "alloy_fuzz: %.*s\n", static_cast<int>(what.size()), what.data());
  std::abort();
}

bool is_one_line(std::string_view text) {
  return msp::is_utf8(text) && text.find('\n') == std::string_view::npos;
}

/// The result with what says FILL IN filled in loads; only variables may be missing, which the host
/// has.
void require_loads(std::string yaml) {
  constexpr std::string_view kBlank = "\"\"   # FILL IN";
  for (auto at = yaml.find(kBlank); at != yaml.npos; at = yaml.find(kBlank)) {
    const auto before = std::string_view(yaml).substr(0, at);
    yaml.replace(at, kBlank.size(),
                 before.ends_with("address: ") ? "127.0.0.1:9999   #"
                 : before.ends_with("_file: ") ? "/alpha   #"
                                               : "alpha   #");
  }
  for (const auto& error : msp::config::parse_config(yaml, "the result").errors) {
    const bool is_variable = error.text.find("is not set; set it") != std::string::npos;
    require(is_variable, error.to_string() + " in\n" + yaml);
  }
}

void convert(msp::import::ForeignAgent from, const std::string& text,
             const std::string& variables) {
  const auto got =
      msp::import::convert(from, {{"f", text}}, msp::import::ForeignFile{"e", variables});
  require(got.yaml.has_value() == got.error.empty(), "a result and an error, or neither");
  require(msp::is_utf8(got.error), "an error that is not UTF-8");
  require(
      got.error.find("would refuse") == std::string::npos,
      "one value that we refuse makes the whole conversion fail: " + got.error + " in\n" + text);
  const auto lines = 1 + std::max(std::count(text.begin(), text.end(), '\n'),
                                  std::count(variables.begin(), variables.end(), '\n'));
  for (const auto& note : got.notes) {
    require(is_one_line(note.to_string()), "a note of more than one line");
    require(note.line >= 0 && note.line <= lines, "a note outside of the file");
  }
  if (!got.yaml) return;
  ++g_results;
  require_loads(*got.yaml);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kVariables = "\n=variables=\n";
  const auto split = bytes.find(kVariables);
  const std::string text(bytes.substr(0, split));
  const std::string variables(split == bytes.npos ? "" : bytes.substr(split + kVariables.size()));
  convert(msp::import::ForeignAgent::alloy, text, variables);
  convert(msp::import::ForeignAgent::prometheus, text, variables);
  return 0;
}

#ifndef MSP_AGENT_LIBFUZZER
namespace {

/// The file, and behind it the variables beside it.
std::string with_variables(const std::filesystem::path& file) {
  const auto variables = file.parent_path() / "alloy.env";
  auto text = msp::test::contents(file);
  if (std::filesystem::exists(variables)) {
    text += "\n=variables=\n" + msp::test::contents(variables);
  }
  return text;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed, const std::vector<std::string>& corpus)
      : random_(seed), corpus_(corpus) {}

  std::string next() {
    auto text = corpus_[below(corpus_.size())];
    for (auto left = 1 + below(3); left > 0; --left) harm(text);
    return text;
  }

 private:
  std::size_t below(std::size_t n) {
    return n == 0 ? 0 : std::uniform_int_distribution<std::size_t>(0, n - 1)(random_);
  }

  void harm(std::string& text) {
    static const std::string kPieces[] = {"{",
                                          "}",
                                          "[",
                                          "]",
                                          "(",
                                          ")",
                                          "\"",
                                          "`",
                                          "'",
                                          "//",
                                          "/*",
                                          "*/",
                                          "=",
                                          "+",
                                          ".",
                                          ",",
                                          ":",
                                          "- ",
                                          "\n",
                                          "\r",
                                          "\t",
                                          "$",
                                          "$$",
                                          "${",
                                          "${A}",
                                          "${A:-b}",
                                          "%{A}",
                                          "\\",
                                          "\\u0000",
                                          "\\xff",
                                          "null",
                                          "env(\"A\")",
                                          "constants.hostname",
                                          "rule { target_label = \"a\" }",
                                          "concat(",
                                          "~",
                                          "#",
                                          "&a ",
                                          "*a",
                                          "!!x ",
                                          "|\n",
                                          "customer_id",
                                          "password",
                                          "0",
                                          "-1",
                                          "1y",
                                          "http://",
                                          "@",
                                          "\xff",
                                          std::string(1, '\0'),
                                          "\xe2\x82",
                                          "서"};
    const auto at = below(text.size() + 1);
    const auto& other = corpus_[below(corpus_.size())];
    switch (below(6)) {
      case 0:
        text.insert(at, kPieces[below(std::size(kPieces))]);
        break;
      case 1:
        text.erase(at, 1 + below(30));
        break;
      case 2:
        text.insert(at, text, below(text.size() + 1), below(300));
        break;
      case 3:
        text.insert(at, other, below(other.size() + 1), below(300));
        break;
      case 4:
        if (at < text.size()) text[at] = static_cast<char>(random_());
        break;
      default:
        if (below(8) == 0) text.resize(at);
    }
  }

  std::mt19937_64 random_;
  const std::vector<std::string>& corpus_;
};

void run(const std::string& bytes) {
  using namespace std::chrono_literals;
  const auto begin = std::chrono::steady_clock::now();
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  require(std::chrono::steady_clock::now() - begin < 10s, "more than 10 s for one text");
}

}  // namespace

int main(int argc, char** argv) {
  const msp::test::FuzzInput input(
      argc, argv,
      [](const std::filesystem::path& file) {
        return file.extension() == ".alloy" || file.extension() == ".yml";
      },
      with_variables);
  const auto& corpus = input.corpus;
  require(!corpus.empty(), "no file to begin with");
  for (const auto& bytes : corpus) run(bytes);
  std::printf("alloy_fuzz: %zu files, %llu mutations, seed %llu\n", corpus.size(),
              static_cast<unsigned long long>(input.runs),
              static_cast<unsigned long long>(input.seed));
  Mutator mutator(input.seed, corpus);
  for (std::uint64_t i = 0; i < input.runs; ++i) run(mutator.next());
  std::printf("alloy_fuzz: %llu of them became a configuration\n",
              static_cast<unsigned long long>(g_results));
  return 0;
}
#endif
