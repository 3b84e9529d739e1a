#include "agent/base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <utility>

#include "agent/base/failed_open.h"
#include "agent/base/text.h"

namespace msp {
namespace {

// Grows, in the first reads, until one pread reads all.
constexpr std::size_t kFirstCapacity = 256;

Error path_error(std::string_view what, const std::string& path, int error) {
  auto text = cat("cannot ", what, " ", path, ": ", errno_text(error));
  const bool is_not_there = error == ENOENT || error == EOPNOTSUPP;
  return is_not_there ? no_data(std::move(text)) : failed(std::move(text));
}

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Fd> open_to_read(const std::string& path) {
  struct stat file {};
  if (::stat(path.c_str(), &file) != 0) return path_error("open", path, errno);
  if (!S_ISREG(file.st_mode) && !S_ISDIR(file.st_mode)) {
    return failed(cat("cannot open ", path, ": not a regular file"));
  }
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) {
    note_failed_open();
    return path_error("open", path, errno);
  }
  return fd;
}

bool can_be_replaced(const Fd& fd) {
  struct statfs system {};
  if (::fstatfs(fd.get(), &system) != 0) return true;
  switch (static_cast<unsigned long>(system.f_type)) {
    case PROC_SUPER_MAGIC:
    case SYSFS_MAGIC:
    case CGROUP_SUPER_MAGIC:
    case CGROUP2_SUPER_MAGIC:
    case DEBUGFS_MAGIC:
    case SELINUX_MAGIC:
      return false;
    default:
      return true;
  }
}

bool is_replaced(const Fd& fd, const std::string& path) {
  struct stat open {};
  struct stat named {};
  if (::fstat(fd.get(), &open) != 0) return true;
  if (::stat(path.c_str(), &named) != 0) return errno == ENOENT || errno == ENOTDIR;
  return open.st_ino != named.st_ino || open.st_dev != named.st_dev;
}

Result<std::string_view> KeptFile::read() {
  if (fd_ && is_watched_ && is_replaced(fd_, path_)) fd_.reset();
  const bool was_open = static_cast<bool>(fd_);
  if (was_open) {
    auto content = read_open();
    if (content) return content;
    fd_.reset();  // the device behind it may be gone and another one in its place
  }
  auto opened = open_to_read(path_);
  if (!opened) return opened.error();
  fd_ = std::move(*opened);
  is_watched_ = can_be_replaced(fd_);
  auto content = read_open();
  if (!content) fd_.reset();
  return content;
}

Result<std::string_view> KeptFile::read_open() {
  if (content_.empty()) content_.resize(kFirstCapacity);
  size_ = 0;
  for (;;) {
    if (size_ == content_.size()) {
      if (size_ >= kBytesMax) return failed(cat(path_, ": larger than ", kBytesMax, " bytes"));
      content_.resize(content_.size() * 2);
    }
    const auto got = ::pread(fd_.get(), content_.data() + size_, content_.size() - size_,
                             static_cast<off_t>(size_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return path_error("read", path_, errno);
    const bool is_short = static_cast<std::size_t>(got) < content_.size() - size_;
    size_ += static_cast<std::size_t>(got);
    if (got == 0 || (is_short && end_ == End::short_read)) {
      return std::string_view(content_.data(), size_);
    }
  }
}

Result<std::string_view> KeptFile::read(std::uint64_t tick) {
  if (tick != tick_) {
    auto content = read();
    tick_ = tick;
    tick_failed_ = !content;
    if (!content) tick_error_ = content.error();
  }
  if (tick_failed_) return tick_error_;
  return std::string_view(content_.data(), size_);
}

std::shared_ptr<KeptFile> FileTable::open(const std::string& path, KeptFile::End end) {
  auto& known = files_[path];
  auto file = known.lock();
  if (!file) known = file = std::make_shared<KeptFile>(path, end);
  file->require(end);
  return file;
}

Result<Fd> open_regular_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return failed(errno_text(errno));
  if (!S_ISREG(status.st_mode)) return failed("not a regular file");
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd || ::fstat(fd.get(), &status) != 0) return failed(errno_text(errno));
  if (!S_ISREG(status.st_mode)) return failed("not a regular file");  // another one by now
  return fd;
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const auto fd = open_to_read(path);
  if (!fd) return fd.error();
  std::string content;
  char part[4096];
  for (;;) {
    const auto got = ::read(fd->get(), part, sizeof part);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return path_error("read", path, errno);
    if (got == 0) return content;
    content.append(part, static_cast<std::size_t>(got));
    if (content.size() > bytes_max) {
      return failed(cat(path, ": larger than ", bytes_max, " bytes"));
    }
  }
}

Result<std::vector<std::string>> names_in(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder.c_str()), ::closedir);
  if (entries == nullptr) return path_error("read", folder, errno);
  std::vector<std::string> names;
  while (const auto* entry = ::readdir(entries.get())) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  return names;
}

}  // namespace msp
