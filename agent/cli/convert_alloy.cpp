// msp-agent convert-alloy FILE: another agent's configuration as an msp-agent.yaml on stdout. What
// it cannot carry over is named on stderr, and in comments at the end of the result.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "agent/cli/commands.h"
#include "agent/import/conversion.h"

namespace msp::cli {
namespace {

void tell(std::string_view text) {
  std::fputs(cat("msp-agent: ", visible_lines(text)).c_str(), stderr);
}

Result<import::ForeignFile> read_stdin() {
  import::ForeignFile file{"-", "", ""};
  char buffer[64 << 10];
  while (file.text.size() <= import::kForeignBytesMax) {
    const auto size = std::fread(buffer, 1, sizeof buffer, stdin);
    if (size == 0) break;
    file.text.append(buffer, size);
  }
  if (std::ferror(stdin) != 0) return failed("cannot read standard input");
  return file;
}

/// Of the working folder and without "." and ".."; empty where that folder is gone.
std::string absolute_path(const std::string& path) {
  auto from = path;
  if (!path.starts_with("/")) {
    const std::unique_ptr<char, decltype(&std::free)> folder(::getcwd(nullptr, 0), std::free);
    if (folder == nullptr) return {};
    from = cat(folder.get(), "/", path);
  }
  std::string absolute;
  for (std::size_t begin = 0; begin < from.size();) {
    const auto end = std::min(from.find('/', begin), from.size());
    const auto part = std::string_view(from).substr(begin, end - begin);
    begin = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      absolute.resize(absolute.empty() ? 0 : absolute.rfind('/'));
    } else {
      absolute.append("/").append(part);
    }
  }
  return absolute.empty() ? "/" : absolute;
}

bool is_of_type(const std::string& path, mode_t type) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && (status.st_mode & S_IFMT) == type;
}

Result<import::ForeignFile> read_foreign(const std::string& path) {
  auto text = read_file(path, import::kForeignBytesMax);
  if (!text) return text.error();
  return import::ForeignFile{path, std::move(*text), absolute_path(path)};
}

/// The *.alloy files of a folder in the order of their names, as Alloy takes them: not those of
/// folders inside.
Result<std::vector<import::ForeignFile>> read_folder(const std::string& path) {
  constexpr std::size_t kFilesMax = 1'000;
  auto entries = names_in(path);
  if (!entries) return entries.error();
  std::vector<std::string> names;
  for (const auto& entry : *entries) {
    auto name = cat(path, path.ends_with("/") ? "" : "/", entry);
    const bool is_alloy = entry.ends_with(".alloy") && entry != ".alloy";
    if (is_alloy && is_of_type(name, S_IFREG)) names.push_back(std::move(name));
  }
  if (names.empty()) return failed(cat(path, ": no *.alloy file in this folder"));
  if (names.size() > kFilesMax) return failed(cat(path, ": more than ", kFilesMax, " files"));
  std::sort(names.begin(), names.end());
  std::vector<import::ForeignFile> files;
  for (const auto& name : names) {
    auto file = read_foreign(name);
    if (!file) return file.error();
    files.push_back(std::move(*file));
  }
  return files;
}

Result<std::vector<import::ForeignFile>> read_foreign_files(const ConvertOptions& options) {
  const auto& name = options.files.front();
  if (options.from == "alloy" && name != "-" && is_of_type(name, S_IFDIR)) {
    return read_folder(name);
  }
  auto file = name == "-" ? read_stdin() : read_foreign(name);
  if (!file) return file.error();
  std::vector<import::ForeignFile> files;
  files.push_back(std::move(*file));
  return files;
}

}  // namespace

int convert_alloy(const ConvertOptions& options) {
  const auto files = read_foreign_files(options);
  if (!files) {
    tell(files.error().text);
    return kExitFailed;
  }
  std::optional<import::ForeignFile> env_file;
  if (!options.env_file.empty()) {
    auto read = read_foreign(options.env_file);
    if (!read) {
      tell(read.error().text);
      return kExitFailed;
    }
    env_file = std::move(*read);
  }
  std::vector<import::ForeignFile> named;
  for (std::size_t i = 1; i < options.files.size(); ++i) {
    auto read = read_foreign(options.files[i]);
    if (!read) {
      tell(read.error().text);
      return kExitFailed;
    }
    named.push_back(std::move(*read));
  }
  const auto from = options.from == "alloy"        ? import::ForeignAgent::alloy
                    : options.from == "prometheus" ? import::ForeignAgent::prometheus
                                                   : import::ForeignAgent::process_exporter;
  const auto conversion = import::convert(from, *files, env_file, named);
  for (const auto& note : conversion.notes) tell(note.to_string());
  if (!conversion.yaml) {
    tell(conversion.error);
    return kExitFailed;
  }
  const auto& yaml = *conversion.yaml;
  const bool written =
      std::fwrite(yaml.data(), 1, yaml.size(), stdout) == yaml.size() && std::fflush(stdout) == 0;
  if (written) return kExitDone;
  tell("cannot write to standard output");
  return kExitFailed;
}

}  // namespace msp::cli
