#include "dataplane/access_log/tally.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "absl/strings/str_cat.h"
#include "dataplane/os/unique_fd.h"
#include "dataplane/storage/file.h"

namespace whence::access_log {

namespace {
constexpr char kMagic[8] = {'W', 'H', 'T', 'A', 'L', 'L', 'Y', '1'};
}  // namespace

struct TallyPage {
  char magic[8];
  char boot[64];  // ends with a zero
  std::atomic<uint32_t> valid;
  struct Carried {
    std::atomic<uint64_t> next_seq;
    std::atomic<uint64_t> accesses;
  } carried[2];
  struct alignas(64) Worker {
    std::atomic<uint64_t> begun;
  } workers[Tally::kMaxWorkers];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "the file holds plain numbers");

absl::StatusOr<std::unique_ptr<Tally>> Tally::Map(const std::string& path) {
  const os::UniqueFd fd(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd) {
    if (errno == ENOENT) return nullptr;
    return absl::ErrnoToStatus(errno, absl::StrCat("open ", path));
  }
  struct stat status;
  if (fstat(fd.get(), &status) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("stat ", path));
  if (static_cast<size_t>(status.st_size) != sizeof(TallyPage)) return nullptr;
  void* const memory =
      mmap(nullptr, sizeof(TallyPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return absl::ErrnoToStatus(errno, absl::StrCat("map ", path));
  std::unique_ptr<Tally> tally(new Tally(static_cast<TallyPage*>(memory)));
  const TallyPage& page = *tally->page_;
  if (std::memcmp(page.magic, kMagic, sizeof kMagic) != 0 || page.valid.load() > 1 ||
      page.boot[sizeof page.boot - 1] != '\0') {
    return nullptr;
  }
  return tally;
}

absl::StatusOr<std::unique_ptr<Tally>> Tally::Create(const std::string& path,
                                                     const std::string& boot, int workers) {
  if (workers > kMaxWorkers || boot.size() >= sizeof(TallyPage::boot)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": more than ", kMaxWorkers, " workers"));
  }
  // Written, not only made long: a page of a hole would have to find room on the disk when a worker
  // first counts, and a full disk would end the process.
  std::string bytes(sizeof(TallyPage), '\0');
  std::memcpy(bytes.data(), kMagic, sizeof kMagic);
  boot.copy(bytes.data() + offsetof(TallyPage, boot), boot.size());
  const uint64_t first_seq = 1;
  std::memcpy(bytes.data() + offsetof(TallyPage, carried), &first_seq, sizeof first_seq);
  if (absl::Status status = storage::WriteFileAtomically(path, bytes); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<Tally>> tally = Map(path);
  if (tally.ok() && *tally == nullptr) {
    return absl::InternalError(absl::StrCat(path, ": was written and cannot be read"));
  }
  return tally;
}

absl::StatusOr<std::unique_ptr<Tally>> Tally::Load(const std::string& path) { return Map(path); }

Tally::~Tally() { munmap(page_, sizeof(TallyPage)); }

std::atomic<uint64_t>* Tally::begun(int worker) { return &page_->workers[worker].begun; }

std::string Tally::boot() const { return page_->boot; }

void Tally::Prepare(uint64_t next_seq, uint64_t accesses) {
  const uint32_t valid = page_->valid.load(std::memory_order_relaxed);
  const TallyPage::Carried& from = page_->carried[valid];
  TallyPage::Carried& to = page_->carried[1 - valid];
  to.accesses.store(from.accesses.load(std::memory_order_relaxed) + accesses,
                    std::memory_order_release);
  to.next_seq.store(next_seq, std::memory_order_release);
}

void Tally::Commit() {
  page_->valid.store(1 - page_->valid.load(std::memory_order_relaxed), std::memory_order_release);
}

Tally::Loss Tally::Resolve(std::optional<uint64_t> spooled) {
  const uint32_t valid = page_->valid.load();
  const uint64_t prepared = page_->carried[1 - valid].next_seq.load();
  // The append was done and nothing else: what was prepared has become true.
  if (spooled && *spooled + 1 == prepared && prepared > page_->carried[valid].next_seq.load()) {
    Commit();
  }
  const TallyPage::Carried& carried = page_->carried[page_->valid.load()];
  uint64_t begun = 0;
  for (const TallyPage::Worker& worker : page_->workers) begun += worker.begun.load();
  const uint64_t in_spool = carried.accesses.load();
  return {.accesses = begun - std::min(begun, in_spool), .seq = carried.next_seq.load()};
}

}  // namespace whence::access_log
