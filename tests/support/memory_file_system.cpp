#include "tests/support/memory_file_system.h"

#include <algorithm>
#include <utility>

namespace msp::test {
namespace {

Error cannot(const std::string& what, const std::string& path, const std::string& why) {
  return failed("cannot " + what + " " + path + ": " + why);
}

std::string folder_of(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

bool is_below(const std::string& path, const std::string& prefix) {
  return !prefix.empty() && path.starts_with(prefix);
}

}  // namespace

class MemoryFileSystem::OpenFile : public queue::File {
 public:
  OpenFile(MemoryFileSystem& files, std::string path, NodePtr node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}

  Result<std::string> read(std::uint64_t offset, std::size_t length) const override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_read("read", path_); !may) return may.error();
    if (offset >= node_->content.size()) return std::string();
    return node_->content.substr(offset, length);
  }

  Result<void> write(std::uint64_t offset, std::string_view bytes) override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("write", path_); !may) return may;
    const bool is_torn = std::exchange(files_.half_, false);
    if (is_torn) bytes = bytes.substr(0, bytes.size() / 2);
    auto& content = node_->content;
    content.resize(std::max<std::size_t>(content.size(), offset + bytes.size()));
    content.replace(offset, bytes.size(), bytes);
    if (is_torn) return cannot("write", path_, "the world has stopped");
    return {};
  }

  Result<void> truncate(std::uint64_t size) override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("truncate", path_); !may) return may;
    node_->content.resize(size);
    return {};
  }

  Result<void> sync() override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("sync", path_); !may) return may;
    if (files_.failing_syncs_ > 0) {
      --files_.failing_syncs_;
      node_->cannot_be_synced = true;
      return cannot("sync", path_, "Input/output error");
    }
    if (!node_->cannot_be_synced) node_->synced = node_->content;
    return {};
  }

  Result<std::uint64_t> size() const override {
    const std::lock_guard lock(files_.mutex_);
    return node_->content.size();
  }

 private:
  MemoryFileSystem& files_;
  const std::string path_;
  const NodePtr node_;
};

class MemoryFileSystem::OpenFolder : public queue::Folder {
 public:
  OpenFolder(MemoryFileSystem& files, DirectoryPtr directory)
      : files_(files), directory_(std::move(directory)) {}

  ~OpenFolder() override {
    const std::lock_guard lock(files_.mutex_);
    if (has_lock_) directory_->is_locked = false;
  }

  const std::string& path() const override { return directory_->path; }

  Result<std::unique_ptr<queue::File>> open(const std::string& name, Mode mode) override {
    const std::lock_guard lock(files_.mutex_);
    const auto path = path_of(name);
    if (auto may = files_.may_read("open", path); !may) return may.error();
    auto found = directory_->names.find(name);
    if (found != directory_->names.end()) {
      if (mode == Mode::create) return cannot("open", path, "File exists");
    } else {
      if (mode == Mode::read) {
        return no_data("cannot open " + path + ": No such file or directory");
      }
      if (auto may = files_.may_change("open", path); !may) return may.error();
      found = directory_->names.emplace(name, std::make_shared<Node>()).first;
    }
    return std::make_unique<OpenFile>(files_, path, found->second);
  }

  Result<void> rename(const std::string& from, const std::string& to) override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("rename", path_of(from)); !may) return may;
    auto& names = directory_->names;
    const auto found = names.find(from);
    if (found == names.end()) {
      return no_data("cannot rename " + path_of(from) + ": No such file or directory");
    }
    const auto node = found->second;
    names.erase(found);
    names[to] = node;
    return {};
  }

  Result<void> remove(const std::string& name) override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("remove", path_of(name)); !may) return may;
    directory_->names.erase(name);
    return {};
  }

  Result<std::vector<Entry>> list() override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_read("list", path()); !may) return may.error();
    std::vector<Entry> entries;
    for (const auto& [name, node] : directory_->names) {
      entries.push_back({name, node->content.size()});
    }
    return entries;
  }

  Result<void> sync() override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_change("sync", path()); !may) return may;
    directory_->durable = directory_->names;
    return {};
  }

  Result<Space> space() override {
    const std::lock_guard lock(files_.mutex_);
    if (auto may = files_.may_read("stat", path()); !may) return may.error();
    return files_.space_;
  }

  Result<bool> lock() override {
    const std::lock_guard lock(files_.mutex_);
    if (directory_->is_locked && !has_lock_) return false;
    return directory_->is_locked = has_lock_ = true;
  }

  Result<bool> is_at_path() const override {
    const std::lock_guard lock(files_.mutex_);
    const auto found = files_.directories_.find(directory_->path);
    return found != files_.directories_.end() && found->second == directory_;
  }

 private:
  std::string path_of(const std::string& name) const { return directory_->path + "/" + name; }

  MemoryFileSystem& files_;
  const DirectoryPtr directory_;
  bool has_lock_ = false;
};

void MemoryFileSystem::stop_after(std::uint64_t calls, bool torn) {
  const std::lock_guard lock(mutex_);
  is_limited_ = true;
  stopped_ = false;
  calls_left_ = calls;
  torn_ = torn;
}

void MemoryFileSystem::go_on() {
  const std::lock_guard lock(mutex_);
  is_limited_ = stopped_ = half_ = false;
}

bool MemoryFileSystem::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

void MemoryFileSystem::fail(const std::string& prefix, const std::string& words) {
  const std::lock_guard lock(mutex_);
  fail_prefix_ = prefix;
  fail_words_ = words;
}

void MemoryFileSystem::fail_reads(const std::string& prefix, const std::string& words) {
  const std::lock_guard lock(mutex_);
  fail_read_prefix_ = prefix;
  fail_read_words_ = words;
}

void MemoryFileSystem::fail_between(std::uint64_t from, std::uint64_t to) {
  const std::lock_guard lock(mutex_);
  fail_from_ = from;
  fail_to_ = to;
}

void MemoryFileSystem::fail_syncs(int count) {
  const std::lock_guard lock(mutex_);
  failing_syncs_ = count;
}

void MemoryFileSystem::set_space(queue::Folder::Space space) {
  const std::lock_guard lock(mutex_);
  space_ = space;
}

void MemoryFileSystem::power_cut(const PowerCut& cut) {
  const std::lock_guard lock(mutex_);
  for (auto& [path, directory] : directories_) {
    auto names = cut.names_kept ? directory->names : directory->durable;
    if (is_below(path + "/", cut.volatile_folder)) names.clear();
    for (auto& [name, node] : names) {
      auto& content = node->content;
      const auto& synced = node->synced;
      const bool grew = content.starts_with(synced);
      switch (cut.content) {
        case PowerCut::Unsynced::lost:
          content = synced;
          break;
        case PowerCut::Unsynced::half:
          grew ? content.resize(synced.size() + (content.size() - synced.size()) / 2)
               : void(content = synced);
          break;
        case PowerCut::Unsynced::zeros:
          content = synced + std::string(grew ? content.size() - synced.size() : 0, '\0');
          break;
        case PowerCut::Unsynced::kept:
          break;
      }
      node->synced = content;
      node->cannot_be_synced = false;
    }
    directory->names = directory->durable = std::move(names);
  }
}

void MemoryFileSystem::remove_tree(const std::string& prefix) {
  const std::lock_guard lock(mutex_);
  std::erase_if(directories_, [&](const auto& entry) {
    return is_below(entry.first, prefix) || is_below(entry.first + "/", prefix);
  });
}

void MemoryFileSystem::mount(const std::string& path, const std::string& name) {
  const std::lock_guard lock(mutex_);
  auto& directory = directories_[path];
  mounted_over_[path].push_back(directory);
  auto& mounted = file_systems_[name];
  if (!mounted) mounted = std::make_shared<Directory>();
  mounted->path = path;
  directory = mounted;
}

void MemoryFileSystem::unmount(const std::string& path) {
  const std::lock_guard lock(mutex_);
  auto& below = mounted_over_[path];
  if (below.back()) {
    directories_[path] = below.back();
  } else {
    directories_.erase(path);
  }
  below.pop_back();
}

std::uint64_t MemoryFileSystem::changes() const {
  const std::lock_guard lock(mutex_);
  return change_log_.size();
}

std::uint64_t MemoryFileSystem::changes_below(const std::string& prefix) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint64_t>(
      std::count_if(change_log_.begin(), change_log_.end(),
                    [&](const std::string& path) { return is_below(path, prefix); }));
}

MemoryFileSystem::NodePtr MemoryFileSystem::node_at(const std::string& path) const {
  const auto directory = directories_.find(folder_of(path));
  if (directory == directories_.end()) return nullptr;
  const auto found = directory->second->names.find(path.substr(path.rfind('/') + 1));
  return found != directory->second->names.end() ? found->second : nullptr;
}

std::string MemoryFileSystem::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto node = node_at(path);
  return node ? node->content : std::string();
}

void MemoryFileSystem::set_content(const std::string& path, std::string content) {
  const std::lock_guard lock(mutex_);
  auto& directory = directories_[folder_of(path)];
  if (!directory) {
    directory = std::make_shared<Directory>();
    directory->path = folder_of(path);
  }
  const auto name = path.substr(path.rfind('/') + 1);
  auto& node = directory->names[name];
  if (!node) node = std::make_shared<Node>();
  node->content = node->synced = std::move(content);
  directory->durable[name] = node;
}

std::vector<std::string> MemoryFileSystem::names(const std::string& folder,
                                                 const std::string& suffix) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  const auto directory = directories_.find(folder);
  if (directory == directories_.end()) return found;
  for (const auto& [name, node] : directory->second->names) {
    if (name.ends_with(suffix)) found.push_back(name);
  }
  return found;
}

void MemoryFileSystem::wait_for(const std::string& path) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return node_at(path) != nullptr; });
}

Result<void> MemoryFileSystem::may_change(const std::string& what, const std::string& path) {
  change_log_.push_back(path);
  half_ = false;
  if (is_limited_) {
    if (calls_left_ == 0) {
      stopped_ = true;
      return cannot(what, path, "the world has stopped");
    }
    // A torn write has not returned when the world stops.
    if (--calls_left_ == 0 && torn_ && what == "write") half_ = stopped_ = true;
  }
  const auto number = change_log_.size() - 1;
  if (number >= fail_from_ && number < fail_to_) return cannot(what, path, "Input/output error");
  if (is_below(path, fail_prefix_)) return cannot(what, path, fail_words_);
  changed_.notify_all();
  return {};
}

Result<void> MemoryFileSystem::may_read(const std::string& what, const std::string& path) const {
  if (is_below(path, fail_read_prefix_)) return cannot(what, path, fail_read_words_);
  return {};
}

/// A folder itself is durable at once.
Result<std::shared_ptr<queue::Folder>> MemoryFileSystem::open_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_read("open", path + "/"); !may) return may.error();
  auto found = directories_.find(path);
  if (found == directories_.end()) {
    if (auto may = may_change("make", path); !may) return may.error();
    found = directories_.emplace(path, std::make_shared<Directory>()).first;
    found->second->path = path;
  }
  return std::make_shared<OpenFolder>(*this, found->second);
}

}  // namespace msp::test
