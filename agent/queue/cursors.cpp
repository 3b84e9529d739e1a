#include "agent/queue/cursors.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "agent/base/text.h"
#include "agent/queue/format.h"

namespace msp {
namespace {

constexpr std::string_view kFirstLine = "msp-agent cursors ";
constexpr unsigned kVersion = 2;
constexpr std::string_view kChecksum = "checksum ";
constexpr std::size_t kFileBytesMax = 1 << 20;

std::string path_of(const std::string& folder) {
  return folder + "/cursors";
}

std::string checksum_of(std::string_view lines) {
  ContentHash hash;
  hash.add(lines);
  return cat(hash.value());
}

std::string text_of(const Acknowledged& acknowledged) {
  auto text = cat(acknowledged.next());
  for (const auto& range : acknowledged.ranges()) text += cat(",", range.first, "-", range.last);
  return text;
}

/// The text up to `delimiter`, taken off `rest` with it.
std::string_view take_until(std::string_view& rest, char delimiter) {
  const auto end = std::min(rest.find(delimiter), rest.size());
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

std::optional<Acknowledged> parse(std::string_view text) {
  const auto next = parse_number<std::uint64_t>(take_until(text, ','));
  if (!next) return std::nullopt;
  Acknowledged acknowledged(*next);
  while (!text.empty()) {
    auto range = take_until(text, ',');
    const auto first = parse_number<std::uint64_t>(take_until(range, '-'));
    const auto last = parse_number<std::uint64_t>(range);
    if (!first || !last || *last + 1 <= *first) return std::nullopt;
    acknowledged.add(*first, *last);
  }
  return acknowledged;
}

}  // namespace

Result<Cursors> load_cursors(FileSystem& files, const std::string& folder) {
  const auto path = path_of(folder);
  const auto file = files.open(path, FileSystem::Mode::read);
  if (!file) return file.error();
  const auto content = (*file)->read(0, kFileBytesMax);
  if (!content) return content.error();

  const auto damaged = failed(cat(path, ": damaged"));
  const auto end = content->rfind(kChecksum);
  if (end == std::string::npos) return damaged;
  auto rest = std::string_view(*content).substr(0, end);
  if (trim(content->substr(end + kChecksum.size())) != checksum_of(rest)) return damaged;
  const auto first_line = next_line(rest).value_or("");
  const auto version = first_line.starts_with(kFirstLine)
                           ? parse_number<unsigned>(first_line.substr(kFirstLine.size()))
                           : std::nullopt;
  if (!version || *version == 0) return damaged;
  if (*version > kVersion) {
    static_cast<void>(files.rename(path, path + ".newer"));
    return failed(cat(path, ": of a newer version, set aside as ", path, ".newer"));
  }
  Cursors cursors;
  while (const auto line = next_line(rest)) {
    auto name = *line;
    const auto acknowledged = parse(take_until(name, ' '));
    if (!acknowledged || name.empty()) return damaged;
    cursors[std::string(name)] = *acknowledged;
  }
  return cursors;
}

Result<void> save_cursors(FileSystem& files, const std::string& folder, const Cursors& cursors) {
  auto content = cat(kFirstLine, kVersion, "\n");
  for (const auto& [name, acknowledged] : cursors) {
    content += cat(text_of(acknowledged), " ", name, "\n");
  }
  content += cat(kChecksum, checksum_of(content), "\n");

  const auto path = path_of(folder);
  const auto temporary = path + ".new";
  {
    const auto file = files.open(temporary, FileSystem::Mode::write);
    if (!file) return file.error();
    if (auto done = (*file)->truncate(0); !done) return done;
    if (auto done = (*file)->write(0, content); !done) return done;
    if (auto done = (*file)->sync(); !done) return done;
  }
  return files.rename(temporary, path);
}

}  // namespace msp
