#include "dataplane/proxy/splice.h"

#include <utility>

namespace whence::proxy {
namespace {

// Less is quicker copied than asked for.
constexpr uint64_t kLeastAhead = 128 * 1024;

}  // namespace

std::optional<Stream::Result> SpliceIn(Stream& from, uint64_t ahead, PipePool& pipes,
                                       ReadBuffer& in) {
  if (ahead < kLeastAhead || !from.worth_splicing() || !in.empty()) return std::nullopt;
  PipeHandle pipe = pipes.Take();
  if (pipe == nullptr) return std::nullopt;
  const Stream::Result result = from.ReadTo(*pipe, ahead);
  if (result.io == Io::kBlocked && from.readable()) return std::nullopt;
  if (result.bytes > 0) in.Hold(std::move(pipe));
  return result;
}

Stream::Result SpliceOut(Stream& from, ReadBuffer& in, Stream& to, bool last) {
  const Stream::Result result = to.WriteFrom(*in.pipe(), last);
  if (in.piped() == 0) {
    from.NoteDrained(in.pipe()->filled_at);
    in.ReturnPipe();
  }
  return result;
}

}  // namespace whence::proxy
