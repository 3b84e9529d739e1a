// A folder of /sys with a folder per device and files of one value in it:
//   /sys/class/net/eth0/mtu    1500
// opened for one tick, its files read one by one and closed at once. Nothing is kept, so that a
// thousand devices cost a few descriptors, and a device that has taken over the name of another one
// is never mistaken for it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/file.h"
#include "agent/base/text.h"
#include "collectors/vocabulary.h"

namespace msp::collectors {

/// What one read of a file gets: the kernel makes no attribute longer than a page.
struct SysText {
  static constexpr int kNotRegular = -1;  // no errno
  char bytes[4096];
  std::size_t size = 0;
  int error = 0;  // errno; 0: it was read

  /// Without the white space around it.
  std::string_view text() const { return trim({bytes, size}); }
};

/// What tells a folder from another one of its name, and whether folders in it come or go.
struct SysIdentity {
  ino_t inode = 0;  // 0: there is no such folder
  /// 2 and the number of folders in it; below 2 where the file system does not count them.
  nlink_t links = 0;
};

class SysFolder {
 public:
  /// `path` outlives the folder.
  explicit SysFolder(const std::string& path);
  /// `parent` and `name` outlive it.
  SysFolder(const SysFolder& parent, const char* name);

  /// False where there is no such folder.
  explicit operator bool() const { return static_cast<bool>(fd_); }

  /// The names in it in byte order, as node_exporter visits them, into `names`.
  void list(std::vector<std::string>& names) const;

  /// The same of the folders in it.
  void list_folders(std::vector<std::string>& names) const;

  /// Never waits: what is not a regular file is not opened. `file` may have folders before its name.
  SysText read(const char* file) const;

  /// The same of a file that may be longer than a page, into `content`, 1 MiB at most. An errno, 0 where
  /// it was read, or SysText::kNotRegular.
  int read(const char* file, std::string& content) const;

  /// Tells the next device behind the same name from this one.
  ino_t inode() const;
  /// Of what is in it; 0: there is no such file.
  ino_t inode(const char* file) const;

  /// Of the folder itself, and of one in it.
  SysIdentity identity() const;
  SysIdentity identity(const char* folder) const;

  std::string path() const;
  std::string path(std::string_view file) const;

 private:
  /// An errno, or SysText::kNotRegular; 0: it can be opened.
  int why_not_opened(const char* file) const;

  template <typename IsWanted>
  void list(std::vector<std::string>& names, const IsWanted& is_wanted) const;

  const SysFolder* parent_ = nullptr;
  std::string_view name_;
  Fd fd_;
  /// In sysfs or among control groups: nothing there could be waited for or set off by opening it.
  bool is_kernels_ = false;
};

/// Whether a device does not have the file, has no value in it now (a network device that is down,
/// a sensor without a probe), or keeps it from us: worth no complaint.
bool has_no_value(int error);

/// What a file may hold; -1 is what a driver says of what it does not know.
enum class SysNumber { count, count_or_unknown, integer, hexadecimal };

/// The number in a file. Nothing where there is none; where that is not as it should be, `out` is
/// told that `metric` is left out.
std::optional<double> read_number(const SysFolder& folder, const char* file,
                                  const MetricDesc& metric, SeriesWriter& out,
                                  SysNumber kind = SysNumber::count);

/// Adds the number in a file, as it stands there.
void add_number(const SysFolder& folder, const char* file, const MetricDesc& metric,
                SeriesWriter::LabelValues labels, SeriesWriter& out,
                SysNumber kind = SysNumber::count);

enum class SysLabel { missing, good, garbled };

/// The text of a file, made UTF-8, into `label`, which is empty where there is none. Control
/// characters are garbled: then `out` is told that a label of `metric` is left out.
SysLabel read_label(const SysFolder& folder, const char* file, const MetricDesc& metric,
                    std::string& label, SeriesWriter& out);

/// Tells `out` of a file that cannot be read, if that is worth a complaint.
void complain(const SysFolder& folder, std::string_view file, int error, std::string_view left_out,
              SeriesWriter& out);

/// What follows `prefix` in `name` where that is a number: "0" of "mc0". Else empty.
std::string_view number_behind(std::string_view name, std::string_view prefix);

}  // namespace msp::collectors
