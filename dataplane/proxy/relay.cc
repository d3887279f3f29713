#include "dataplane/proxy/relay.h"

#include "dataplane/proxy/splice.h"

namespace whence::proxy {
namespace {

// Per call and connection: 2 MB both ways, or what goes through pipes; then the others' turn.
constexpr int kMostSteps = 8;

}  // namespace

Relay::Relay(BufferPool& pool, PipePool& pipes, Side downstream, Side upstream,
             proxy_protocol::SignatureGuard* first_bytes)
    : pool_(pool),
      pipes_(pipes),
      in_{downstream, upstream.stream, first_bytes},
      out_{upstream, downstream.stream} {}

Stream::Result Relay::Read(Direction& direction) {
  Stream& from = direction.from.stream;
  ReadBuffer& buffer = direction.from.in;
  const bool looked_at = direction.first_bytes != nullptr && direction.first_bytes->armed();
  if (!looked_at) {
    if (const auto spliced = SpliceIn(from, Stream::kUnknown, pipes_, buffer)) return *spliced;
  }
  const Stream::Result result = from.Read(buffer.Room(pool_, BufferPool::kLarge));
  buffer.Filled(result.bytes);
  return result;
}

Relay::Step Relay::MoveOnce(Direction& direction) {
  Stream& from = direction.from.stream;
  ReadBuffer& buffer = direction.from.in;
  Step step = Step::kNothing;
  if (buffer.empty() && from.readable() && !from.at_end()) {
    const auto [io, bytes] = Read(direction);
    if (io == Io::kBroken) return Step::kFromBroken;
    from.NotePace(bytes, Stream::kUnknown);
    if (io != Io::kBlocked) step = Step::kMoved;
    if (direction.first_bytes != nullptr && !direction.first_bytes->Admits(buffer.raw())) {
      return Step::kForbidden;
    }
  }
  if (!buffer.has_ready()) buffer.Pass(buffer.raw().size(), buffer.raw().size());
  if (buffer.has_ready() && direction.to.writable()) {
    const bool piped = buffer.piped() > 0;
    const auto [io, bytes] =
        piped ? SpliceOut(from, buffer, direction.to) : direction.to.Write(buffer.ready());
    if (io == Io::kBroken) return Step::kToBroken;
    if (!piped) buffer.Sent(bytes);
    direction.bytes += bytes;
    if (bytes > 0) step = Step::kMoved;
  }
  if (buffer.empty()) {
    buffer.Trim();
    if (from.at_end()) direction.to.ShutdownWrite();
  }
  return step;
}

Relay::Progress Relay::Move() {
  Progress progress{State::kOpen};
  const uint64_t most = pipes_.moved() + PipePool::kMostPerTurn;
  for (int step = 0; step < kMostSteps && pipes_.moved() < most; ++step) {
    const Step in = MoveOnce(in_);
    if (in == Step::kForbidden) {
      progress.state = State::kForbiddenHeader;
      return progress;
    }
    const Step out = MoveOnce(out_);
    if (in == Step::kFromBroken || out == Step::kToBroken) {
      progress.state = State::kDownstreamBroken;
      return progress;
    }
    if (in == Step::kToBroken || out == Step::kFromBroken) {
      progress.state = State::kUpstreamBroken;
      return progress;
    }
    if (Done(in_) && Done(out_)) {
      progress.state = State::kDone;
      return progress;
    }
    if (in == Step::kNothing && out == Step::kNothing) return progress;
    progress.moved = true;
  }
  progress.cut_short = true;
  return progress;
}

}  // namespace whence::proxy
