// What the programs around a fuzzer's LLVMFuzzerTestOneInput share: their options and their files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace msp::test {

inline std::string contents(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// --runs=N, --seed=N, and what is in the files and folders that are named beside these.
struct FuzzInput {
  std::uint64_t runs = 2000;
  std::uint64_t seed = 1;
  std::vector<std::string> corpus;

  using Wants = std::function<bool(const std::filesystem::path& file)>;
  using Read = std::function<std::string(const std::filesystem::path& file)>;

  /// `wants` chooses among the files of a folder and of those in it.
  FuzzInput(int argc, char** argv, const Wants& wants, const Read& read = contents) {
    for (int i = 1; i < argc; ++i) {
      const std::string argument = argv[i];
      if (argument.starts_with("--runs=")) {
        runs = std::strtoull(argument.c_str() + 7, nullptr, 10);
      } else if (argument.starts_with("--seed=")) {
        seed = std::strtoull(argument.c_str() + 7, nullptr, 10);
      } else {
        add(argument, wants, read);
      }
    }
  }

 private:
  void add(const std::filesystem::path& path, const Wants& wants, const Read& read) {
    if (!std::filesystem::is_directory(path)) {
      corpus.push_back(read(path));
      return;
    }
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      std::error_code error;  // links that lead nowhere are among them
      if (entry.is_regular_file(error) && wants(entry.path())) files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const auto& file : files) corpus.push_back(read(file));
  }
};

}  // namespace msp::test
