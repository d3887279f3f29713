#include "dataplane/resident.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace whence {
namespace {

// Code is mapped from its file and never written to, so that a page that goes is read again from
// there. Of other segments that is not certain: relocations write to them.
int GiveBackCode(dl_phdr_info* object, size_t, void*) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  for (size_t i = 0; i < object->dlpi_phnum; ++i) {
    const auto& segment = object->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & (PF_X | PF_W)) != PF_X) continue;
    const uintptr_t from = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
    const uintptr_t to = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
    madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);  // refused: it stays
  }
  return 0;
}

}  // namespace

void KeepLargeBlocksApart() {
  constexpr int kLarge = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, kLarge);
  // With the first, this would stay at 128 KiB: less than what a busy worker frees and takes again.
  mallopt(M_TRIM_THRESHOLD, kLarge);
}

void GiveBackStartupMemory() {
  malloc_trim(0);
  dl_iterate_phdr(GiveBackCode, nullptr);
}

}  // namespace whence
