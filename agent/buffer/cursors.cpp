#include "agent/buffer/cursors.h"

#include "agent/buffer/format.h"
#include "agent/core/text.h"

namespace msp {
namespace {

constexpr std::string_view kFirstLine = "msp-agent cursors 1";
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
  if (next_line(rest) != kFirstLine) return failed(cat(path, ": of another version"));
  Cursors cursors;
  while (const auto line = next_line(rest)) {
    const auto space = line->find(' ');
    const auto sequence = parse_number<std::uint64_t>(line->substr(0, space));
    if (!sequence || space == std::string_view::npos) return damaged;
    cursors[std::string(line->substr(space + 1))] = *sequence;
  }
  return cursors;
}

Result<void> save_cursors(FileSystem& files, const std::string& folder, const Cursors& cursors) {
  auto content = cat(kFirstLine, "\n");
  for (const auto& [name, sequence] : cursors) content += cat(sequence, " ", name, "\n");
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
