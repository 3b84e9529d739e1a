#include "agent/queue/offsets_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "agent/base/text.h"
#include "agent/queue/format.h"

namespace msp::queue {
namespace {

const std::string kName = "offsets";
constexpr std::string_view kFirstLine = "msp-agent offsets ";
constexpr unsigned kVersion = 1;
constexpr std::string_view kChecksum = "checksum ";
constexpr std::size_t kFileBytesMax = 1 << 20;

std::string checksum_of(std::string_view lines) {
  ContentHash hash;
  hash.add(lines);
  return cat(hash.value());
}

/// The text up to `delimiter`, taken off `rest` with it.
std::string_view take_until(std::string_view& rest, char delimiter) {
  const auto end = std::min(rest.find(delimiter), rest.size());
  const auto part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

std::optional<Offset> parse(std::string_view text) {
  const auto next = parse_number<std::uint64_t>(take_until(text, ','));
  if (!next) return std::nullopt;
  Offset acknowledged(*next);
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

std::string offset_text(const Offset& offset) {
  auto text = cat(offset.next());
  for (const auto& range : offset.ranges()) text += cat(",", range.first, "-", range.last);
  return text;
}

Result<Offsets> load_offsets(Folder& folder) {
  const auto file = folder.open(kName, Folder::Mode::read);
  if (!file) return file.error();
  const auto content = (*file)->read(0, kFileBytesMax);
  if (!content) return content.error();

  const auto damaged = failed(cat(folder.path(), "/", kName, ": damaged"));
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
    static_cast<void>(folder.rename(kName, cat(kName, ".newer")));
    return failed(cat(folder.path(), "/", kName, ": of a newer version, set aside as ",
                      folder.path(), "/", kName, ".newer"));
  }
  Offsets offsets;
  while (const auto line = next_line(rest)) {
    auto name = *line;
    const auto offset = parse(take_until(name, ' '));
    if (!offset || name.empty()) return damaged;
    offsets[std::string(name)] = *offset;
  }
  return offsets;
}

Result<void> save_offsets(Folder& folder, const Offsets& offsets) {
  auto content = cat(kFirstLine, kVersion, "\n");
  for (const auto& [name, offset] : offsets) content += cat(offset_text(offset), " ", name, "\n");
  content += cat(kChecksum, checksum_of(content), "\n");

  const auto temporary = cat(kName, ".new");
  {
    const auto file = folder.open(temporary, Folder::Mode::write);
    if (!file) return file.error();
    if (auto done = (*file)->truncate(0); !done) return done;
    if (auto done = (*file)->write(0, content); !done) return done;
    if (auto done = (*file)->sync(); !done) return done;
  }
  return folder.rename(temporary, kName);
}

}  // namespace msp::queue
