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

namespace msp {
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

  Result<bool> lock() override {
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return true;
    if (errno == EWOULDBLOCK) return false;
    return system_error("lock", path_);
  }

 private:
  std::string path_;
  Fd fd_;
};

class RealFileSystem : public FileSystem {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, Mode mode) override {
    const int flags = mode == Mode::write ? O_RDWR | O_CREAT : O_RDONLY;
    Fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd) return system_error("open", path);
    return std::make_unique<RealFile>(path, std::move(fd));
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) return system_error("rename", from);
    return {};
  }

  Result<void> remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return system_error("remove", path);
    return {};
  }

  Result<void> make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), 0750) == 0 || errno == EEXIST) return {};
    const auto parent_end = path.rfind('/');
    if (errno != ENOENT || parent_end == 0 || parent_end == path.npos) {
      return system_error("make", path);
    }
    if (auto made = make_folder(path.substr(0, parent_end)); !made) return made;
    if (::mkdir(path.c_str(), 0750) != 0 && errno != EEXIST) return system_error("make", path);
    return {};
  }

  Result<std::vector<Entry>> list(const std::string& folder) override {
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(folder.c_str()), ::closedir);
    if (!dir) return system_error("list", folder);
    std::vector<Entry> entries;
    while (const auto* entry = ::readdir(dir.get())) {
      struct stat status {};
      if (::fstatat(::dirfd(dir.get()), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (!S_ISREG(status.st_mode)) continue;
      entries.push_back({entry->d_name, static_cast<std::uint64_t>(status.st_size)});
    }
    return entries;
  }

  Result<void> sync_folder(const std::string& folder) override {
    const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return system_error("sync", folder);
    return {};
  }

  Result<Space> space(const std::string& folder) override {
    struct statvfs status {};
    if (::statvfs(folder.c_str(), &status) != 0) return system_error("stat", folder);
    return Space{status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize};
  }
};

}  // namespace

FileSystem& real_file_system() {
  static RealFileSystem real;
  return real;
}

}  // namespace msp
