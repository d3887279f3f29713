#include "dataplane/access_log/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/base/crc32c.h"
#include "dataplane/storage/file.h"
#include "dataplane/storage/little_endian.h"

namespace whence::access_log {
namespace {

constexpr std::string_view kMagic = "WHSPOOL1";
constexpr std::string_view kPrefix = "spool-";
constexpr size_t kFrameHeaderBytes = 8;
constexpr uint64_t kMaxFrameBytes = 16 << 20;  // far above any batch: what claims more is damaged
constexpr uint64_t kMinSpoolBytes = 64 << 10;
// In place of a header: whatever a kill leaves of the next one, it does not fit what stood behind.
constexpr std::array<char, kFrameHeaderBytes> kEnd = {};
// A file larger than this gives its pages back when all in it is acknowledged.
constexpr uint64_t kKeptBytes = 1 << 20;

absl::Status Failed(const char* call, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat(call, " ", path));
}

// Somebody may have removed a file that is still open: what is written to it is gone with us.
bool HasName(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

std::string FrameHeader(std::string_view payload) {
  std::string header;
  storage::PutLittleEndian32(&header, static_cast<uint32_t>(payload.size()));
  storage::PutLittleEndian32(&header, Crc32c(payload));
  return header;
}

// What a process that was killed while it wrote may have left behind the last whole frame of a
// file. Not what follows an end mark, and of an earlier use's remains no more than the frame
// claims.
size_t TornBytes(std::string_view rest) {
  if (rest.size() < sizeof(uint32_t)) return rest.size();
  const size_t size = storage::GetLittleEndian32(rest);
  return size == 0 ? 0 : std::min(rest.size(), kFrameHeaderBytes + size);
}

// The whole frame at the start of `bytes`: its size; 0 if it is torn or damaged.
size_t ParseFrame(std::string_view bytes, EncodedBatch* batch) {
  if (bytes.size() < kFrameHeaderBytes) return 0;
  const size_t size = storage::GetLittleEndian32(bytes);
  if (size > kMaxFrameBytes || bytes.size() - kFrameHeaderBytes < size) return 0;
  const std::string_view payload = bytes.substr(kFrameHeaderBytes, size);
  if (storage::GetLittleEndian32(bytes.substr(4)) != Crc32c(payload)) return 0;
  std::optional<EncodedBatch> parsed = EncodedBatch::Parse(payload);
  if (!parsed) return 0;
  *batch = *std::move(parsed);
  return kFrameHeaderBytes + size;
}

enum class Outcome { kDone, kDamaged, kFailed };

// kFailed is what may pass. A file that ends early or is gone, and a sector that the disk cannot
// read, do not come back: to wait for them would hold up every later record for good.
Outcome OutcomeOf(int error) {
  return error == ENOENT || error == EIO ? Outcome::kDamaged : Outcome::kFailed;
}

Outcome ReadExactly(int fd, uint64_t offset, size_t size, std::string* out) {
  out->resize(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t n = pread(fd, out->data() + done, size - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return OutcomeOf(errno);
    if (n == 0) return Outcome::kDamaged;
    done += static_cast<size_t>(n);
  }
  return Outcome::kDone;
}

// The frame at `offset`, of `*size` bytes.
Outcome ReadFrame(const std::string& path, uint64_t offset, EncodedBatch* batch, size_t* size) {
  const os::UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return OutcomeOf(errno);
  std::string bytes;
  Outcome outcome = ReadExactly(fd.get(), offset, kFrameHeaderBytes, &bytes);
  if (outcome != Outcome::kDone) return outcome;
  const size_t payload = storage::GetLittleEndian32(bytes);
  if (payload > kMaxFrameBytes) return Outcome::kDamaged;
  outcome = ReadExactly(fd.get(), offset, kFrameHeaderBytes + payload, &bytes);
  if (outcome != Outcome::kDone) return outcome;
  *size = ParseFrame(bytes, batch);
  return *size == 0 ? Outcome::kDamaged : Outcome::kDone;
}

}  // namespace

Spool::Spool(std::string directory, uint64_t max_bytes)
    // Eight segments: what gives way at once is an eighth of the spool.
    : directory_(std::move(directory)),
      max_bytes_(std::max(max_bytes, kMinSpoolBytes)),
      segment_bytes_(max_bytes_ / 8) {}

std::string Spool::PathOf(uint64_t id) const {
  char name[40];
  std::snprintf(name, sizeof(name), "/spool-%016" PRIx64, id);
  return directory_ + name;
}

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(const std::string& directory, uint64_t max_bytes,
                                                   uint64_t* cut_bytes) {
  if (absl::Status status = storage::MakeDirectory(directory); !status.ok()) return status;
  std::unique_ptr<Spool> spool(new Spool(directory, max_bytes));
  absl::StatusOr<std::vector<std::string>> files = storage::ListFiles(directory);
  if (!files.ok()) return files.status();
  uint64_t cut = 0;
  for (const std::string& file : *files) {
    if (file.rfind(kPrefix, 0) != 0) continue;
    uint64_t id = 0;
    const char* const end = file.data() + file.size();
    const auto [stop, error] = std::from_chars(file.data() + kPrefix.size(), end, id, 16);
    if (error != std::errc() || stop != end)
      continue;  // a temporary file of a gap that was not finished
    if (absl::Status status = spool->Scan(id, &cut); !status.ok()) return status;
    spool->next_id_ = std::max(spool->next_id_, id + 1);
  }
  if (cut_bytes != nullptr) *cut_bytes = cut;
  return spool;
}

absl::Status Spool::Scan(uint64_t id, uint64_t* cut_bytes) {
  const std::string path = PathOf(id);
  absl::StatusOr<std::string> content = storage::ReadFile(path, max_bytes_ + kMaxFrameBytes);
  if (!content.ok()) return content.status();
  Segment segment;
  segment.id = id;
  std::string_view rest = *content;
  if (rest.substr(0, kMagic.size()) == kMagic) {
    rest.remove_prefix(kMagic.size());
    EncodedBatch batch;
    size_t size = ParseFrame(rest, &batch);
    while (size > 0 && (segment.accesses == 0 ||
                        (batch.boot() == segment.boot && batch.last_seq() > segment.last_seq))) {
      Count(batch, &segment);
      rest.remove_prefix(size);
      size = ParseFrame(rest, &batch);
    }
    // A whole one is of an earlier use, and was acknowledged.
    if (size == 0) *cut_bytes += TornBytes(rest);
  } else {
    *cut_bytes += rest.size();
  }
  segment.bytes = content->size() - rest.size();
  if (segment.accesses == 0) return storage::RemoveFile(path);
  if (!rest.empty() && truncate(path.c_str(), static_cast<off_t>(segment.bytes)) != 0)
    return Failed("truncate", path);
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  return absl::OkStatus();
}

void Spool::Count(const EncodedBatch& batch, Segment* segment) {
  segment->is_gap = segment->accesses == 0 && batch.records() == 1 && batch.gaps() == 1;
  segment->boot = batch.boot();
  segment->last_seq = batch.last_seq();
  segment->last_time_us = batch.last_time_us();
  segment->accesses += batch.accesses();
}

absl::Status Spool::Append(const EncodedBatch& batch) {
  std::string header = FrameHeader(batch.bytes());
  const size_t frame_bytes = header.size() + batch.bytes().size();
  const bool fits = tail_ && !segments_.empty() && segments_.back().boot == batch.boot() &&
                    segments_.back().bytes + frame_bytes <= segment_bytes_;
  if (!fits) {
    if (absl::Status status = BeginSegment(batch.boot()); !status.ok()) return status;
  }
  if (absl::Status status = MakeRoom(frame_bytes); !status.ok()) return status;
  Segment& segment = segments_.back();
  const iovec parts[] = {{header.data(), header.size()},
                         {const_cast<char*>(batch.bytes().data()), batch.bytes().size()},
                         {const_cast<char*>(kEnd.data()), kEnd.size()}};
  const ssize_t n = pwritev(tail_.get(), parts, 3, static_cast<off_t>(segment.bytes));
  if (n != static_cast<ssize_t>(frame_bytes + kEnd.size())) {
    // A part of a frame would hide what is appended behind it.
    const absl::Status status = n < 0 ? Failed("write", PathOf(segment.id))
                                      : absl::ResourceExhaustedError(absl::StrCat(
                                            "write ", PathOf(segment.id), ": disk full"));
    if (ftruncate(tail_.get(), static_cast<off_t>(segment.bytes)) != 0) tail_.Reset();
    tail_bytes_ = segment.bytes;
    if (segment.accesses == 0) Remove(segments_.size() - 1);
    return status;
  }
  segment.bytes += frame_bytes;
  bytes_ += frame_bytes;
  tail_bytes_ = std::max(tail_bytes_, segment.bytes + kEnd.size());
  Count(batch, &segment);
  return absl::OkStatus();
}

absl::Status Spool::BeginSegment(const std::string& boot) {
  if (spare_) {
    Segment segment = *std::exchange(spare_, std::nullopt);
    segment.boot = boot;
    bytes_ += segment.bytes;
    segments_.push_back(std::move(segment));
    return absl::OkStatus();
  }
  Sync();
  Segment segment;
  segment.id = next_id_++;
  segment.boot = boot;
  const std::string path = PathOf(segment.id);
  tail_.Reset(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!tail_) return Failed("open", path);
  if (write(tail_.get(), kMagic.data(), kMagic.size()) != static_cast<ssize_t>(kMagic.size())) {
    const absl::Status status = Failed("write", path);
    tail_.Reset();
    (void)storage::RemoveFile(path);
    return status;
  }
  segment.bytes = kMagic.size();
  tail_bytes_ = segment.bytes;
  bytes_ += segment.bytes;
  segments_.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status Spool::MakeRoom(uint64_t bytes) {
  while (bytes_ + bytes > max_bytes_) {
    // Gaps that stand already are not worth dropping; the segment being written is never dropped.
    size_t index = 0;
    while (index < segments_.size() && segments_[index].is_gap) ++index;
    if (index + 1 >= segments_.size())
      return absl::ResourceExhaustedError("a batch larger than the spool");
    if (absl::Status status = DropOldest(index); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Spool::DropOldest(size_t index) {
  Segment& segment = segments_[index];
  dropped_ += segment.accesses - segment.dropped;
  const bool merges = index > 0 && segments_[index - 1].boot == segment.boot;
  if (merges) segment.accesses += segments_[index - 1].accesses;
  const EncodedBatch gap =
      EncodedBatch::Gap(segment.boot, segment.last_seq, segment.last_time_us, segment.accesses);
  const std::string content = absl::StrCat(ToAbsl(kMagic), FrameHeader(gap.bytes()), gap.bytes());
  if (absl::Status status = storage::WriteFileAtomically(PathOf(segment.id), content); !status.ok())
    return status;
  bytes_ -= segment.bytes;
  segment.bytes = content.size();
  bytes_ += segment.bytes;
  segment.is_gap = true;
  segment.dropped = segment.accesses;
  ++segment.generation;
  if (merges) Remove(index - 1);
  return absl::OkStatus();
}

bool Spool::Empty() {
  if (!HasName(tail_.get())) return false;
  constexpr auto kStart = static_cast<off_t>(kMagic.size());
  if (tail_bytes_ <= kKeptBytes) {
    return pwrite(tail_.get(), kEnd.data(), kEnd.size(), kStart) ==
           static_cast<ssize_t>(kEnd.size());
  }
  tail_bytes_ = kMagic.size();
  return ftruncate(tail_.get(), kStart) == 0;
}

void Spool::Remove(size_t index) {
  const Segment segment = std::move(segments_[index]);
  segments_.erase(segments_.begin() + static_cast<ptrdiff_t>(index));
  bytes_ -= segment.bytes;
  if (index == segments_.size() && tail_) {
    if (Empty()) {
      // A reader that stands in it stands nowhere now.
      spare_ = {.id = segment.id, .generation = segment.generation + 1, .bytes = kMagic.size()};
      return;
    }
    tail_.Reset();
  }
  (void)storage::RemoveFile(
      PathOf(segment.id));  // stays on disk at worst, and is sent again and dropped there
}

Spool::~Spool() {
  if (spare_) (void)storage::RemoveFile(PathOf(spare_->id));
}

std::optional<EncodedBatch> Spool::Next(Position* position, bool* failed) {
  *failed = false;
  for (Segment& segment : segments_) {
    if (segment.id < position->segment) continue;
    if (segment.id != position->segment || segment.generation != position->generation) {
      *position = Position{segment.id, kMagic.size(), segment.generation};
    }
    if (position->offset >= segment.bytes) continue;
    EncodedBatch batch;
    size_t size = 0;
    switch (ReadFrame(PathOf(segment.id), position->offset, &batch, &size)) {
      case Outcome::kFailed:
        *failed = true;
        return std::nullopt;
      case Outcome::kDamaged:  // since it was opened: nothing behind it can be found
        return GapForTheRest(&segment, position);
      case Outcome::kDone:
        position->offset += size;
        position->accesses += batch.accesses();
        return batch;
    }
  }
  return std::nullopt;
}

EncodedBatch Spool::GapForTheRest(Segment* segment, Position* position) {
  // What were appended behind the damage would be hidden when the spool is next opened; and the gap
  // must be the same one, and so a duplicate, when the next stream reads it again.
  if (segment->id == segments_.back().id) tail_.Reset();
  const uint64_t lost = segment->accesses - position->accesses;
  dropped_ += lost - std::min(lost, segment->dropped);  // not once more for every stream
  segment->dropped = std::max(segment->dropped, lost);
  position->offset = segment->bytes;
  return EncodedBatch::Gap(segment->boot, segment->last_seq, segment->last_time_us, lost);
}

bool Spool::AtEnd(const Position& position) const {
  if (segments_.empty()) return true;
  const Segment& last = segments_.back();
  return position.segment > last.id ||
         (position.segment == last.id && position.generation == last.generation &&
          position.offset >= last.bytes);
}

Spool::Position Spool::End() const {
  if (segments_.empty()) return {};
  const Segment& last = segments_.back();
  return {last.id, last.bytes, last.generation, last.accesses};
}

std::optional<uint64_t> Spool::LastSeq(const std::string& boot) const {
  std::optional<uint64_t> last;
  for (const Segment& segment : segments_) {
    if (segment.boot == boot) last = std::max(last.value_or(0), segment.last_seq);
  }
  return last;
}

void Spool::Acknowledge(const std::string& boot, uint64_t last_seq) {
  for (size_t i = 0; i < segments_.size();) {
    if (segments_[i].boot == boot && segments_[i].last_seq <= last_seq) {
      Remove(i);
    } else {
      ++i;
    }
  }
}

void Spool::Sync() {
  if (tail_ && !spare_) (void)fdatasync(tail_.get());
}

}  // namespace whence::access_log
