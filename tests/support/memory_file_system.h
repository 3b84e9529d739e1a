// Files in memory that fail on demand: any call that changes something can be the last one that
// happens, fail with an error, or be undone by a power cut.
//
// What it knows of durability is what POSIX promises and no more: content is safe after sync() of
// the file, a creation, rename or removal after sync_folder() of its folder; of all else a power
// cut keeps as little, as much or as odd a part as it is told.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "agent/queue/file_system.h"

namespace msp::test {

class MemoryFileSystem : public queue::FileSystem {
 public:
  struct PowerCut {
    enum class Unsynced { lost, half, zeros, kept };  // what was written and not synced
    std::string volatile_folder = {};                 // nothing below it survives
    Unsynced content = Unsynced::lost;
    bool names_kept = false;  // creations, renames and removals that were not synced
  };

  // Faults. The old ones end when new ones of their kind are set.

  /// The n-th changing call from now is the last one that happens; 0: none happens. `torn`: if it
  /// is a write, only the first half of it happens.
  void stop_after(std::uint64_t calls, bool torn = false);
  void go_on();
  bool stopped() const;

  /// Changing calls on paths below `prefix` fail with these words; nothing is changed. "": none.
  void fail(const std::string& prefix, const std::string& words);
  /// The same for calls that read.
  void fail_reads(const std::string& prefix, const std::string& words);
  /// Of all changing calls, those from the number `from` (0 is the first) up to `to` fail.
  void fail_between(std::uint64_t from, std::uint64_t to);
  /// The next `count` syncs fail, and what they should have synced is lost in a power cut even if a
  /// later one works (as the kernel does: fsync(2), EIO).
  void fail_syncs(int count);
  void set_space(queue::Folder::Space space);
  /// Only when nobody has a file open.
  void power_cut(const PowerCut& cut);
  /// As rm -r: a file that is open stays as it is until it is closed.
  void remove_tree(const std::string& prefix);
  /// Another file system is mounted over the folder `path`, empty at first, or the one that was
  /// mounted there by the same `name`. What was opened before goes on in the folder below.
  void mount(const std::string& path, const std::string& name);
  /// The folder that was there before the last mount() is there again; open files and folders of the
  /// one that is unmounted go on (umount -l).
  void unmount(const std::string& path);

  // To look at.

  /// Calls so far that changed something, or would have.
  std::uint64_t changes() const;
  std::uint64_t changes_below(const std::string& prefix) const;
  /// Of a file, nothing where there is none.
  std::string content(const std::string& path) const;
  void set_content(const std::string& path, std::string content);
  /// Of a folder's files, those with this ending, in order.
  std::vector<std::string> names(const std::string& folder, const std::string& suffix) const;
  /// Returns when the file is there.
  void wait_for(const std::string& path);

  Result<std::shared_ptr<queue::Folder>> open_folder(const std::string& path) override;

 private:
  struct Node {
    std::string content;
    std::string synced;
    bool cannot_be_synced = false;
  };
  using NodePtr = std::shared_ptr<Node>;
  using Names = std::map<std::string, NodePtr>;
  /// One folder of one file system. Names in it are those of files.
  struct Directory {
    std::string path;  // for messages and for faults by prefix
    Names names;       // as programs see it
    Names durable;     // the same as of the last sync()
    bool is_locked = false;
  };
  using DirectoryPtr = std::shared_ptr<Directory>;
  class OpenFile;
  class OpenFolder;

  /// Whether a changing call on `path` may happen.
  Result<void> may_change(const std::string& what, const std::string& path);
  Result<void> may_read(const std::string& what, const std::string& path) const;
  NodePtr node_at(const std::string& path) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, DirectoryPtr> directories_;                // by path
  std::map<std::string, std::vector<DirectoryPtr>> mounted_over_;  // by path, the last one on top
  std::map<std::string, DirectoryPtr> file_systems_;               // by name
  std::vector<std::string> change_log_;                            // the paths
  bool is_limited_ = false;
  std::uint64_t calls_left_ = 0;
  bool torn_ = false;
  bool stopped_ = false;
  bool half_ = false;  // the write that may happen now is torn
  std::string fail_prefix_, fail_words_;
  std::string fail_read_prefix_, fail_read_words_;
  std::uint64_t fail_from_ = 0, fail_to_ = 0;
  int failing_syncs_ = 0;
  queue::Folder::Space space_{std::uint64_t{1} << 40, std::uint64_t{1} << 39};
};

}  // namespace msp::test
