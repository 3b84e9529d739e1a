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

class MemoryFileSystem::OpenFile : public File {
 public:
  OpenFile(MemoryFileSystem& files, std::string path, NodePtr node)
      : files_(files), path_(std::move(path)), node_(std::move(node)) {}

  ~OpenFile() override {
    const std::lock_guard lock(files_.mutex_);
    if (has_lock_) node_->is_locked = false;
  }

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

  Result<bool> lock() override {
    const std::lock_guard lock(files_.mutex_);
    if (node_->is_locked && !has_lock_) return false;
    return node_->is_locked = has_lock_ = true;
  }

 private:
  MemoryFileSystem& files_;
  const std::string path_;
  const NodePtr node_;
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

void MemoryFileSystem::set_space(Space space) {
  const std::lock_guard lock(mutex_);
  space_ = space;
}

void MemoryFileSystem::power_cut(const PowerCut& cut) {
  const std::lock_guard lock(mutex_);
  auto names = cut.names_kept ? names_ : durable_;
  std::erase_if(names,
                [&](const auto& entry) { return is_below(entry.first, cut.volatile_folder); });
  for (auto& [path, node] : names) {
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
  names_ = durable_ = std::move(names);
}

void MemoryFileSystem::remove_tree(const std::string& prefix) {
  const std::lock_guard lock(mutex_);
  std::erase_if(names_, [&](const auto& entry) { return is_below(entry.first, prefix); });
  std::erase_if(durable_, [&](const auto& entry) { return is_below(entry.first, prefix); });
  std::erase_if(folders_, [&](const auto& entry) { return is_below(entry.first, prefix); });
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

std::string MemoryFileSystem::content(const std::string& path) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(path);
  return found != names_.end() ? found->second->content : std::string();
}

void MemoryFileSystem::set_content(const std::string& path, std::string content) {
  const std::lock_guard lock(mutex_);
  folders_[folder_of(path)] = true;
  auto& node = names_[path];
  if (!node) node = std::make_shared<Node>();
  node->content = node->synced = std::move(content);
  durable_[path] = node;
}

std::vector<std::string> MemoryFileSystem::names(const std::string& folder,
                                                 const std::string& suffix) const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> found;
  for (const auto& [path, node] : names_) {
    if (folder_of(path) == folder && path.ends_with(suffix)) {
      found.push_back(path.substr(folder.size() + 1));
    }
  }
  return found;
}

void MemoryFileSystem::wait_for(const std::string& path) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return names_.contains(path); });
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

Result<std::unique_ptr<File>> MemoryFileSystem::open(const std::string& path, Mode mode) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_read("open", path); !may) return may.error();
  auto found = names_.find(path);
  if (found == names_.end()) {
    if (mode == Mode::read || !folders_.contains(folder_of(path))) {
      return no_data("cannot open " + path + ": No such file or directory");
    }
    if (auto may = may_change("open", path); !may) return may.error();
    found = names_.emplace(path, std::make_shared<Node>()).first;
  }
  return std::make_unique<OpenFile>(*this, path, found->second);
}

Result<void> MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_change("rename", from); !may) return may;
  const auto found = names_.find(from);
  if (found == names_.end())
    return no_data("cannot rename " + from + ": No such file or directory");
  const auto node = found->second;
  names_.erase(found);
  names_[to] = node;
  return {};
}

Result<void> MemoryFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_change("remove", path); !may) return may;
  names_.erase(path);
  return {};
}

/// A folder itself is durable at once.
Result<void> MemoryFileSystem::make_folder(const std::string& path) {
  const std::lock_guard lock(mutex_);
  if (folders_.contains(path)) return {};
  if (auto may = may_change("make", path); !may) return may;
  folders_[path] = true;
  return {};
}

Result<std::vector<FileSystem::Entry>> MemoryFileSystem::list(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_read("list", folder); !may) return may.error();
  if (!folders_.contains(folder))
    return no_data("cannot list " + folder + ": No such file or directory");
  std::vector<Entry> entries;
  for (const auto& [path, node] : names_) {
    if (folder_of(path) != folder) continue;
    entries.push_back({path.substr(folder.size() + 1), node->content.size()});
  }
  return entries;
}

Result<void> MemoryFileSystem::sync_folder(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_change("sync", folder); !may) return may;
  std::erase_if(durable_, [&](const auto& entry) { return folder_of(entry.first) == folder; });
  for (const auto& [path, node] : names_) {
    if (folder_of(path) == folder) durable_[path] = node;
  }
  return {};
}

Result<FileSystem::Space> MemoryFileSystem::space(const std::string& folder) {
  const std::lock_guard lock(mutex_);
  if (auto may = may_read("stat", folder); !may) return may.error();
  return space_;
}

}  // namespace msp::test
