#include "agent/run/program_pages.h"

#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace msp::run {
namespace {

/// Of the first object, the program; only what nobody has written to: those pages are the file's.
int release(dl_phdr_info* object, std::size_t, void*) {
  const auto page = static_cast<ElfW(Addr)>(sysconf(_SC_PAGESIZE));
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
    // Whole pages: the next segment may begin in the last one.
    const auto begin = (object->dlpi_addr + segment.p_vaddr + page - 1) & ~(page - 1);
    const auto end = (object->dlpi_addr + segment.p_vaddr + segment.p_memsz) & ~(page - 1);
    if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
  }
  return 1;
}

}  // namespace

void release_program_pages() {
  dl_iterate_phdr(release, nullptr);
}

}  // namespace msp::run
