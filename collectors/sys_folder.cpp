#include "collectors/sys_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>

#include "agent/base/failed_open.h"
#include "collectors/label_text.h"

namespace msp::collectors {
namespace {

constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

std::optional<double> parse(std::string_view text, SysNumber kind) {
  const auto as_double = [](auto number) -> std::optional<double> {
    if (!number) return std::nullopt;
    return static_cast<double>(*number);
  };
  if (kind == SysNumber::integer) return as_double(parse_number<std::int64_t>(text));
  if (kind == SysNumber::count_or_unknown && text == "-1") return -1;
  if (kind != SysNumber::hexadecimal) return as_double(parse_number<std::uint64_t>(text));
  if (!text.starts_with("0x")) return std::nullopt;
  return as_double(parse_number<std::uint64_t>(text.substr(2), 16));
}

}  // namespace

SysFolder::SysFolder(const std::string& path) : name_(path), fd_(::open(path.c_str(), kFolder)) {
  if (!fd_) note_failed_open();
  struct statfs status {};
  if (!fd_ || ::fstatfs(fd_.get(), &status) != 0) return;
  is_kernels_ = status.f_type == SYSFS_MAGIC || status.f_type == CGROUP_SUPER_MAGIC ||
                status.f_type == CGROUP2_SUPER_MAGIC;
}

SysFolder::SysFolder(const SysFolder& parent, const char* name)
    : parent_(&parent),
      name_(name),
      fd_(::openat(parent.fd_.get(), name, kFolder)),
      is_kernels_(parent.is_kernels_) {
  if (!fd_) note_failed_open();
}

template <typename IsWanted>
void SysFolder::list(std::vector<std::string>& names, const IsWanted& is_wanted) const {
  std::size_t found = 0;
  Fd fd(::openat(fd_.get(), ".", kFolder));
  const std::unique_ptr<DIR, int (*)(DIR*)> open(fd ? ::fdopendir(fd.get()) : nullptr, closedir);
  if (open) {
    fd.release();
  } else {
    note_failed_open();
  }
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == ".." || !is_wanted(*entry)) continue;
    if (found == names.size()) names.emplace_back();
    names[found++] = name;
  }
  names.resize(found);
  std::sort(names.begin(), names.end());
}

void SysFolder::list(std::vector<std::string>& names) const {
  list(names, [](const dirent&) { return true; });
}

void SysFolder::list_folders(std::vector<std::string>& names) const {
  list(names, [this](const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    return identity(entry.d_name).inode != 0;
  });
}

int SysFolder::why_not_opened(const char* file) const {
  struct stat status {};
  if (is_kernels_) return 0;
  if (::fstatat(fd_.get(), file, &status, 0) != 0) return errno;
  return S_ISREG(status.st_mode) ? 0 : SysText::kNotRegular;
}

SysText SysFolder::read(const char* file) const {
  SysText text;
  text.error = why_not_opened(file);
  if (text.error != 0) return text;
  const Fd fd(::openat(fd_.get(), file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) note_failed_open();
  const auto got = fd ? ::read(fd.get(), text.bytes, sizeof text.bytes) : -1;
  text.error = got < 0 ? errno : 0;
  if (text.error == EISDIR) text.error = SysText::kNotRegular;
  text.size = got < 0 ? 0 : static_cast<std::size_t>(got);
  return text;
}

ino_t SysFolder::inode() const {
  struct stat status {};
  return ::fstat(fd_.get(), &status) == 0 ? status.st_ino : 0;
}

ino_t SysFolder::inode(const char* file) const {
  struct stat status {};
  return ::fstatat(fd_.get(), file, &status, 0) == 0 ? status.st_ino : 0;
}

SysIdentity SysFolder::identity() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) return {};
  return {status.st_ino, status.st_nlink};
}

SysIdentity SysFolder::identity(const char* folder) const {
  struct stat status {};
  if (::fstatat(fd_.get(), folder, &status, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (!S_ISDIR(status.st_mode)) return {};
  return {status.st_ino, status.st_nlink};
}

int SysFolder::read(const char* file, std::string& content) const {
  constexpr std::size_t kStepBytes = 4096, kBytesMax = std::size_t{1} << 20;
  if (const int error = why_not_opened(file); error != 0) return error;
  const Fd fd(::openat(fd_.get(), file, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    note_failed_open();
    return errno;
  }
  std::size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < kBytesMax; size += static_cast<std::size_t>(got)) {
    content.resize(std::max(content.capacity(), size + kStepBytes));
    got = ::read(fd.get(), content.data() + size, content.size() - size);
    if (got < 0) return errno == EISDIR ? SysText::kNotRegular : errno;
  }
  content.resize(size);
  return 0;
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
    constexpr std::string_view kExpected[] = {"a count", "a count or -1", "a whole number",
                                              "a hexadecimal number"};
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
  if (has_control(text)) {
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

}  // namespace msp::collectors
