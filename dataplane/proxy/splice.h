// Long stretches that go on as they came, moved through a pipe instead of our memory.
#ifndef WHENCE_DATAPLANE_PROXY_SPLICE_H_
#define WHENCE_DATAPLANE_PROXY_SPLICE_H_

#include <cstdint>
#include <optional>

#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/pipe.h"
#include "dataplane/proxy/stream.h"

namespace whence::proxy {

// The next `ahead` bytes of `from` (Stream::kUnknown: all) need not be looked at. Moves some of
// them, and none behind, to a pipe, which `in` then holds. nullopt: it does not pay (`in` is not
// empty, the stream is slow, little is ahead) or cannot be: to be read as usual. Loop-affine.
std::optional<Stream::Result> SpliceIn(Stream& from, uint64_t ahead, PipePool& pipes,
                                       ReadBuffer& in);

// Moves what `in` holds in a pipe, which came from `from`. `last` as of Stream::Write.
// REQUIRES: in.piped() > 0. Loop-affine.
Stream::Result SpliceOut(Stream& from, ReadBuffer& in, Stream& to, bool last = false);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SPLICE_H_
