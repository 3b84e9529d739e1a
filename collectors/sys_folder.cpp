#include "collectors/sys_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>

namespace msp {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::optional<double> parse(std::string_view text, SysNumber kind) {
  const auto as_double = [](auto number) -> std::optional<double> {
    if (!number) return std::nullopt;
    return static_cast<double>(*number);
  };
  if (kind == SysNumber::integer) return as_double(parse_number<std::int64_t>(text));
  if (kind == SysNumber::count) return as_double(parse_number<std::uint64_t>(text));
  if (!text.starts_with("0x")) return std::nullopt;
  return as_double(parse_number<std::uint64_t>(text.substr(2), 16));
}

}  // namespace

SysFolder::SysFolder(const std::string& path) : name_(path), fd_(::open(path.c_str(), kFolder)) {}

SysFolder::SysFolder(const SysFolder& parent, const char* name)
    : parent_(&parent), name_(name), fd_(::openat(parent.fd_.get(), name, kFolder)) {}

void SysFolder::list(std::vector<std::string>& names) const {
  std::size_t found = 0;
  Fd fd(::openat(fd_.get(), ".", kFolder));
  const std::unique_ptr<DIR, int (*)(DIR*)> open(fd ? ::fdopendir(fd.get()) : nullptr, closedir);
  if (open) fd.release();
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (found == names.size()) names.emplace_back();
    names[found++] = name;
  }
  names.resize(found);
  std::sort(names.begin(), names.end());
}

SysText SysFolder::read(const char* file) const {
  SysText text;
  struct stat status {};
  if (::fstatat(fd_.get(), file, &status, 0) != 0) {
    text.error = errno;
  } else if (!S_ISREG(status.st_mode)) {
    text.error = SysText::kNotRegular;
  }
  if (text.error != 0) return text;
  const Fd fd(::openat(fd_.get(), file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  const auto got = fd ? ::read(fd.get(), text.bytes, sizeof text.bytes) : -1;
  text.error = got < 0 ? errno : 0;
  text.size = got < 0 ? 0 : static_cast<std::size_t>(got);
  return text;
}

ino_t SysFolder::inode() const {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 ? status.st_ino : 0;
}

std::string SysFolder::path() const {
  return parent_ == nullptr ? std::string(name_) : parent_->path(name_);
}

std::string SysFolder::path(std::string_view file) const {
  return cat(path(), "/", file);
}

bool has_no_value(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
    case ENXIO:
    case ENODATA:
    case EINVAL:
    case EOPNOTSUPP:
    case EAGAIN:
    case EBUSY:
    case EACCES:
    case EPERM:
      return true;
    default:
      return false;
  }
}

std::optional<double> read_number(const SysFolder& folder, const char* file,
                                  const MetricDesc& metric, SeriesWriter& out, SysNumber kind) {
  const auto content = folder.read(file);
  if (content.error != 0) {
    complain(folder, file, content.error, metric.name, out);
    return std::nullopt;
  }
  const auto number = parse(content.text(), kind);
  if (!number) {
    constexpr std::string_view kExpected[] = {"a count", "a whole number", "a hexadecimal number"};
    out.complaints().garbled(folder.path(file), content.text(),
                             kExpected[static_cast<std::size_t>(kind)], {metric.name});
  }
  return number;
}

void add_number(const SysFolder& folder, const char* file, const MetricDesc& metric,
                SeriesWriter::LabelValues labels, SeriesWriter& out, SysNumber kind) {
  const auto number = read_number(folder, file, metric, out, kind);
  if (number) out.add(metric, labels, *number);
}

SysLabel read_label(const SysFolder& folder, const char* file, const MetricDesc& metric,
                    std::string& label, SeriesWriter& out) {
  label.clear();
  const auto content = folder.read(file);
  if (has_no_value(content.error)) return SysLabel::missing;
  if (content.error != 0) {
    complain(folder, file, content.error, cat("a label of ", metric.name), out);
    return SysLabel::garbled;
  }
  const auto text = content.text();
  const auto is_control = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::any_of(text.begin(), text.end(), is_control)) {
    out.complaints().garbled(folder.path(file), text, "a line of text",
                             {cat("a label of ", metric.name)});
    return SysLabel::garbled;
  }
  label = text;
  if (!is_utf8(label)) make_utf8(label);
  return SysLabel::good;
}

void complain(const SysFolder& folder, std::string_view file, int error, std::string_view left_out,
              SeriesWriter& out) {
  if (has_no_value(error)) return;
  const auto path = folder.path(file);
  const auto why = error == SysText::kNotRegular ? "not a regular file" : errno_text(error);
  out.complaints().unreadable(path, failed(cat("cannot read ", path, ": ", why)), {left_out});
}

std::string_view number_behind(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return {};
  const auto number = name.substr(prefix.size());
  return number.find_first_not_of("0123456789") == number.npos ? number : std::string_view{};
}

}  // namespace msp
