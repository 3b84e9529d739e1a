#include "agent/queue/file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "agent/base/file.h"
#include "agent/base/text.h"

namespace msp::queue {
namespace {

Error system_error(std::string_view what, const std::string& path) {
  const int error = errno;
  auto text = cat("cannot ", what, " ", path, ": ", errno_text(error));
  return error == ENOENT ? no_data(std::move(text)) : failed(std::move(text));
}

class RealFile : public File {
 public:
  RealFile(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Result<std::string> read(std::uint64_t offset, std::size_t length) const override {
    std::string bytes(length, '\0');
    std::size_t size = 0;
    while (size < length) {
      const auto got =
          ::pread(fd_.get(), bytes.data() + size, length - size, static_cast<off_t>(offset + size));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read", path_);
      if (got == 0) break;
      size += static_cast<std::size_t>(got);
    }
    bytes.resize(size);
    return bytes;
  }

  Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const auto put = ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return system_error("write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) {
      return system_error("truncate", path_);
    }
    return {};
  }

  Result<void> sync() override {
    if (::fdatasync(fd_.get()) != 0) return system_error("sync", path_);
    return {};
  }

  Result<std::uint64_t> size() const override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) return system_error("stat", path_);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  std::string path_;
  Fd fd_;
};

class RealFolder : public Folder {
 public:
  RealFolder(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  const std::string& path() const override { return path_; }

  Result<std::unique_ptr<File>> open(const std::string& name, Mode mode) override {
    int flags = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    flags |= mode == Mode::read ? O_RDONLY : O_RDWR | O_CREAT;
    if (mode == Mode::create) flags |= O_EXCL;
    Fd fd(::openat(fd_.get(), name.c_str(), flags, 0640));
    if (!fd) return system_error("open", path_of(name));
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return system_error("stat", path_of(name));
    if (!S_ISREG(status.st_mode)) {
      return failed(cat("cannot open ", path_of(name), ": it is not a regular file"));
    }
    return std::make_unique<RealFile>(path_of(name), std::move(fd));
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (::renameat(fd_.get(), from.c_str(), fd_.get(), to.c_str()) != 0) {
      return system_error("rename", path_of(from));
    }
    return {};
  }

  Result<void> remove(const std::string& name) override {
    if (::unlinkat(fd_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
      return system_error("remove", path_of(name));
    }
    return {};
  }

  Result<std::vector<Entry>> list() override {
    // A descriptor of its own, for a DIR owns its descriptor and its position.
    const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(fd >= 0 ? ::fdopendir(fd) : nullptr, ::closedir);
    if (!dir) {
      auto error = system_error("list", path_);
      if (fd >= 0) ::close(fd);
      return error;
    }
    std::vector<Entry> entries;
    while (const auto* entry = ::readdir(dir.get())) {
      struct stat status {};
      if (::fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (!S_ISREG(status.st_mode)) continue;
      entries.push_back({entry->d_name, static_cast<std::uint64_t>(status.st_size)});
    }
    return entries;
  }

  Result<void> sync() override {
    if (::fsync(fd_.get()) != 0) return system_error("sync", path_);
    return {};
  }

  Result<Space> space() override {
    struct statvfs status {};
    if (::fstatvfs(fd_.get(), &status) != 0) return system_error("stat", path_);
    return Space{status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize};
  }

  Result<bool> lock() override {
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    // NFS locks only what is open for writing, which a folder cannot be.
    Fd file(
        ::openat(fd_.get(), "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640));
    if (!file) return system_error("open", path_of("lock"));
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return false;
      return system_error("lock", path_of("lock"));
    }
    lock_ = std::move(file);
    return true;
  }

  Result<bool> is_at_path() const override {
    struct stat here {};
    struct stat there {};
    if (::fstat(fd_.get(), &here) != 0) return system_error("stat", path_);
    if (::stat(path_.c_str(), &there) != 0) {
      if (errno == ENOENT || errno == ENOTDIR) return false;
      return system_error("stat", path_);
    }
    return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
  }

 private:
  std::string path_of(const std::string& name) const { return path_ + "/" + name; }

  std::string path_;
  Fd fd_;
  Fd lock_;
};

Result<void> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0750) == 0 || errno == EEXIST) return {};
  const auto parent_end = path.rfind('/');
  if (errno != ENOENT || parent_end == 0 || parent_end == path.npos) {
    return system_error("make", path);
  }
  if (auto made = make_folder(path.substr(0, parent_end)); !made) return made;
  if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return system_error("make", path);
  return {};
}

class RealFileSystem : public FileSystem {
 public:
  Result<std::shared_ptr<Folder>> open_folder(const std::string& path) override {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd && errno == ENOENT) {
      if (auto made = make_folder(path); !made) return made.error();
      fd = Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    }
    if (!fd) return system_error("open", path);
    return std::make_shared<RealFolder>(path, std::move(fd));
  }
};

}  // namespace

FileSystem& real_file_system() {
  static RealFileSystem real;
  return real;
}

}  // namespace msp::queue
