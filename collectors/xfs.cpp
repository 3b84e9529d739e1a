// xfs: what each mounted XFS file system has done, from /sys/fs/xfs/DEVICE/stats/stats
// (fs/xfs/xfs_stats.c), in which a line has a name and counters:
//   extent_alloc 4260849 125170297 4618726 131131897
//   rw 107739 94045
// Of some 30 lines these are those that node_exporter sends. What a kernel does not have is left
// out.
#include <algorithm>
#include <bitset>
#include <iterator>
#include <span>

#include "agent/base/text.h"
#include "collectors/collector.h"
#include "collectors/counters_line.h"
#include "collectors/sys_folder.h"

namespace msp::collectors {
namespace {

constexpr MetricDesc metric(std::string_view name, std::string_view help) {
  return {name, help, "/sys/fs/xfs/DEVICE/stats/stats", MetricType::counter, "device"};
}
#define MSP_XFS(name, help) metric("node_xfs_" name "_total", help)
#define MSP_XFS_OF(name, what) MSP_XFS(name, "Number of " what " for a filesystem.")
#define MSP_XFS_INODE(name, what) MSP_XFS("inode_operation_" name, "Number of times the OS " what)
#define MSP_XFS_VNODE(name) \
  MSP_XFS("vnode_" name, "Number of times vn_" name " called for a filesystem.")

constexpr MetricDesc kExtents[] = {
    MSP_XFS_OF("extent_allocation_extents_allocated", "extents allocated"),
    MSP_XFS_OF("extent_allocation_blocks_allocated", "blocks allocated"),
    MSP_XFS_OF("extent_allocation_extents_freed", "extents freed"),
    MSP_XFS_OF("extent_allocation_blocks_freed", "blocks freed"),
};
constexpr MetricDesc kAllocation[] = {
    MSP_XFS_OF("allocation_btree_lookups", "allocation B-tree lookups"),
    MSP_XFS_OF("allocation_btree_compares", "allocation B-tree compares"),
    MSP_XFS_OF("allocation_btree_records_inserted", "allocation B-tree records inserted"),
    MSP_XFS_OF("allocation_btree_records_deleted", "allocation B-tree records deleted"),
};
constexpr MetricDesc kBlocks[] = {
    MSP_XFS_OF("block_mapping_reads", "block map for read operations"),
    MSP_XFS_OF("block_mapping_writes", "block map for write operations"),
    MSP_XFS_OF("block_mapping_unmaps", "block unmaps (deletes)"),
    MSP_XFS_OF("block_mapping_extent_list_insertions", "extent list insertions"),
    MSP_XFS_OF("block_mapping_extent_list_deletions", "extent list deletions"),
    MSP_XFS_OF("block_mapping_extent_list_lookups", "extent list lookups"),
    MSP_XFS_OF("block_mapping_extent_list_compares", "extent list compares"),
};
constexpr MetricDesc kBlockMap[] = {
    MSP_XFS_OF("block_map_btree_lookups", "block map B-tree lookups"),
    MSP_XFS_OF("block_map_btree_compares", "block map B-tree compares"),
    MSP_XFS_OF("block_map_btree_records_inserted", "block map B-tree records inserted"),
    MSP_XFS_OF("block_map_btree_records_deleted", "block map B-tree records deleted"),
};
constexpr MetricDesc kFolders[] = {
    MSP_XFS("directory_operation_lookup",
            "Number of file name directory lookups which miss the operating systems directory name "
            "lookup cache."),
    MSP_XFS("directory_operation_create",
            "Number of times a new directory entry was created for a filesystem."),
    MSP_XFS("directory_operation_remove",
            "Number of times an existing directory entry was created for a filesystem."),
    MSP_XFS("directory_operation_getdents",
            "Number of times the directory getdents operation was performed for a filesystem."),
};
constexpr MetricDesc kInodes[] = {
    MSP_XFS_INODE("attempts", "looked for an XFS inode in the inode cache."),
    MSP_XFS_INODE("found", "looked for and found an XFS inode in the inode cache."),
    MSP_XFS_INODE("recycled",
                  "found an XFS inode in the cache, but could not use it as it was being "
                  "recycled."),
    MSP_XFS_INODE("missed", "looked for an XFS inode in the cache, but did not find it."),
    MSP_XFS_INODE("duplicates",
                  "tried to add a missing XFS inode to the inode cache, but found it had already "
                  "been added by another process."),
    MSP_XFS_INODE("reclaims",
                  "reclaimed an XFS inode from the inode cache to free memory for another "
                  "purpose."),
    MSP_XFS_INODE("attribute_changes", "explicitly changed the attributes of an XFS inode."),
};
constexpr MetricDesc kCalls[] = {
    MSP_XFS("write_calls", "Number of write(2) system calls made to files in a filesystem."),
    MSP_XFS("read_calls", "Number of read(2) system calls made to files in a filesystem."),
};
constexpr MetricDesc kVnodes[] = {
    MSP_XFS_OF("vnode_active", "vnodes not on free lists"),
    MSP_XFS("vnode_allocate", "Number of times vn_alloc called for a filesystem."),
    MSP_XFS_VNODE("get"),
    MSP_XFS_VNODE("hold"),
    MSP_XFS("vnode_release", "Number of times vn_rele called for a filesystem."),
    MSP_XFS_VNODE("reclaim"),
    MSP_XFS_VNODE("remove"),
};
#undef MSP_XFS_VNODE
#undef MSP_XFS_INODE
#undef MSP_XFS_OF
#undef MSP_XFS

struct Line {
  std::string_view name;
  std::span<const MetricDesc> columns;
};
constexpr Line kLines[] = {
    {"extent_alloc", kExtents}, {"abt", kAllocation}, {"blk_map", kBlocks}, {"bmbt", kBlockMap},
    {"dir", kFolders},          {"ig", kInodes},      {"rw", kCalls},       {"vnodes", kVnodes}};

class Xfs : public Collector {
 public:
  explicit Xfs(const CollectorContext& context) : folder_(context.paths.sys("fs/xfs")) {}

  Result<void> collect(const Tick&, SeriesWriter& out) override {
    constexpr auto kFile = "stats/stats";
    const SysFolder xfs(folder_);
    if (!xfs) return no_data(cat(folder_, ": no such folder"));
    xfs.list(names_);
    for (const auto& name : names_) {
      const SysFolder device(xfs, name.c_str());
      if (!device) continue;
      const auto content = device.read(kFile);
      if (content.error == 0) {
        add_lines(device, kFile, {content.bytes, content.size}, name, out);
      } else {
        complain(device, kFile, content.error, "what a file system has done", out);
      }
    }
    return {};
  }

 private:
  static void add_lines(const SysFolder& device, const char* file, std::string_view rest,
                        const std::string& name, SeriesWriter& out) {
    std::bitset<std::size(kLines)> seen;
    while (auto line = next_line(rest)) {
      const auto word = next_word(*line);
      const auto* const known = std::ranges::find(kLines, word, &Line::name);
      if (known == std::end(kLines)) continue;
      const auto index = static_cast<std::size_t>(known - kLines);
      if (seen[index]) {
        out.complaints().repeated(device.path(file), word);
        continue;
      }
      seen.set(index);
      bool is_good = true;
      for (const auto& column : known->columns) {
        const auto value = next_word(*line);
        // Behind a number that is none, the end may be missing as well.
        if (value.empty() && !is_good) break;
        const auto number = parse_number<std::uint64_t>(value);
        is_good = number.has_value();
        if (is_good) {
          out.add(column, {name}, static_cast<double>(*number));
        } else {
          out.complaints().garbled(device.path(file), value, "a count", {column.name, {name}});
        }
      }
    }
  }

  const std::string folder_;
  std::vector<std::string> names_;
};

}  // namespace

CollectorType xfs_collector() {
  return {.make = make_collector<Xfs>, .empty_is_absent = true};
}

}  // namespace msp::collectors
