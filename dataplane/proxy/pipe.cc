#include "dataplane/proxy/pipe.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <utility>

namespace whence::proxy {
namespace {

constexpr size_t kLeastBytes = 256 * 1024;

// The lowest free number is what a new descriptor gets, so that it says how many there are.
bool DescriptorsAreScarce(int newest) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) != 0 ||
         static_cast<rlim_t>(newest) >= limit.rlim_cur / 4 * 3;
}

}  // namespace

Pipe::Pipe(PipePool& pool, os::UniqueFd in, os::UniqueFd out)
    : pool_(pool), in_(std::move(in)), out_(std::move(out)) {
  ++pool_.open_;
}

Pipe::~Pipe() { --pool_.open_; }

ssize_t Pipe::Fill(int socket, size_t most) {
  const ssize_t n =
      ::splice(socket, nullptr, in_.get(), nullptr, most, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
  if (n > 0) held_ += static_cast<size_t>(n);
  return n;
}

ssize_t Pipe::Drain(int socket, bool more) {
  const ssize_t n = ::splice(out_.get(), nullptr, socket, nullptr, held_,
                             SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (more ? SPLICE_F_MORE : 0u));
  if (n > 0) {
    held_ -= static_cast<size_t>(n);
    pool_.counters_.Add(Counter::kBytesSpliced, static_cast<uint64_t>(n));
  }
  return n;
}

void PipeReturn::operator()(Pipe* pipe) const {
  std::unique_ptr<Pipe> owned(pipe);
  if (owned->held() == 0) owned->pool().free_.Give(std::move(owned));
}

PipeHandle PipePool::Take() {
  if (!free_.empty()) return PipeHandle(free_.Take().release());
  if (!refused_ && open_ < most_) {
    if (std::unique_ptr<Pipe> pipe = Open()) return PipeHandle(pipe.release());
    refused_ = true;
  }
  counters_.Add(Counter::kPipesShort);
  return nullptr;
}

std::unique_ptr<Pipe> PipePool::Open() {
  int fds[2];
  if (::pipe2(fds, O_NONBLOCK | O_CLOEXEC) != 0) return nullptr;
  os::UniqueFd out(fds[0]);
  os::UniqueFd in(fds[1]);
  if (DescriptorsAreScarce(in.get())) return nullptr;
  // Above the bounds of this user, or of the system, it is refused.
  for (size_t bytes = kBytes; bytes >= kLeastBytes; bytes /= 2) {
    if (::fcntl(in.get(), F_SETPIPE_SZ, static_cast<int>(bytes)) < 0) continue;
    return std::make_unique<Pipe>(*this, std::move(in), std::move(out));
  }
  return nullptr;
}

void PipePool::Trim() {
  free_.Trim();
  refused_ = false;
}

}  // namespace whence::proxy
