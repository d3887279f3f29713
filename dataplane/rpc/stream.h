// One bidirectional stream on a CompletionLoop: a queue of messages to write, a callback for each
// message read.
//
// Reading never waits for writing: two peers that both wait to write, and neither reads, would wait
// for ever. There is one outstanding read and one outstanding write; what is to be written beyond
// that waits here, and `queued` lets the owner hold back.
#ifndef WHENCE_DATAPLANE_RPC_STREAM_H_
#define WHENCE_DATAPLANE_RPC_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_stream.h>

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "dataplane/rpc/completion_loop.h"

namespace whence::rpc {

// Loop-affine. Made by Open; lives, whatever the owner does, until gRPC has let go of it.
template <typename Request, typename Response>
class Stream : public std::enable_shared_from_this<Stream<Request, Response>> {
 public:
  using ReaderWriter = grpc::ClientAsyncReaderWriter<Request, Response>;
  using Prepare = std::function<std::unique_ptr<ReaderWriter>(grpc::ClientContext* context,
                                                              grpc::CompletionQueue* queue)>;

  struct Events {
    std::function<void(const Response&)> on_message;
    std::function<void()> on_written;  // one message has left; may be empty
    // The last call: the stream has ended. Not called after Leave.
    std::function<void(const grpc::Status&)> on_closed;
  };

  static std::shared_ptr<Stream> Open(CompletionLoop& loop, const Prepare& prepare, Events events) {
    std::shared_ptr<Stream> stream(new Stream(loop, std::move(events)));
    stream->call_ = prepare(&stream->context_, loop.queue());
    stream->call_->StartCall(loop.Tag([stream](bool ok) { stream->Started(ok); }));
    return stream;
  }

  void Write(Request message) {
    if (ended_) return;
    waiting_.push_back(std::move(message));
    WriteNext();
  }
  size_t queued() const { return waiting_.size() + (writing_ ? 1 : 0); }

  // Says that nothing more is coming, so that the peer knows a farewell from a broken connection,
  // and cancels if it has not ended the stream within `patience`. No event follows.
  void Leave(std::chrono::milliseconds patience) {
    abandoned_ = true;
    ended_ = true;
    leaving_ = true;
    waiting_.clear();
    leave_timer_.Start(patience, [self = this->shared_from_this()] { self->context_.TryCancel(); });
    SayFarewell();
  }
  bool has_received() const { return has_received_; }

 private:
  Stream(CompletionLoop& loop, Events events)
      : loop_(loop), leave_timer_(loop), events_(std::move(events)) {}

  void Started(bool ok) {
    started_ = true;
    if (!ok) return Ended();
    Read();
    if (leaving_) SayFarewell();
    WriteNext();
  }

  void Read() {
    reading_ = true;
    call_->Read(&incoming_, loop_.Tag([self = this->shared_from_this()](bool ok) {
      self->reading_ = false;
      if (!ok) return self->Ended();
      self->has_received_ = true;
      if (!self->abandoned_) self->events_.on_message(self->incoming_);
      self->Read();
    }));
  }

  void WriteNext() {
    if (!started_ || writing_ || ended_ || waiting_.empty()) return;
    writing_ = true;
    outgoing_ = std::move(waiting_.front());
    waiting_.pop_front();
    call_->Write(outgoing_, loop_.Tag([self = this->shared_from_this()](bool ok) {
      self->writing_ = false;
      // A failed write means that the stream is over; the read that fails as well tells why.
      if (!ok || self->read_over_) return self->MaybeFinish();
      if (self->leaving_) return self->SayFarewell();
      if (self->events_.on_written) self->events_.on_written();
      self->WriteNext();
    }));
  }

  void SayFarewell() {
    if (!started_ || writing_ || read_over_) return;
    writing_ = true;
    call_->WritesDone(loop_.Tag([self = this->shared_from_this()](bool) {
      self->writing_ = false;
      self->MaybeFinish();
    }));
  }

  void Ended() {
    ended_ = true;
    read_over_ = true;
    MaybeFinish();
  }

  // Finish must not be asked for while a write is under way, and only once.
  void MaybeFinish() {
    if (!read_over_ || writing_ || reading_ || finishing_) return;
    finishing_ = true;
    call_->Finish(&status_, loop_.Tag([self = this->shared_from_this()](bool) {
      self->leave_timer_.Cancel();
      if (!self->abandoned_) self->events_.on_closed(self->status_);
      self->events_ = {};  // they may hold what holds us
    }));
  }

  CompletionLoop& loop_;
  CompletionLoop::Timer leave_timer_;
  Events events_;
  grpc::ClientContext context_;
  std::unique_ptr<ReaderWriter> call_;
  grpc::Status status_;
  std::deque<Request> waiting_;
  Request outgoing_;
  Response incoming_;
  bool started_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool read_over_ = false;
  bool ended_ = false;
  bool finishing_ = false;
  bool abandoned_ = false;
  bool leaving_ = false;
  bool has_received_ = false;
};

}  // namespace whence::rpc

#endif  // WHENCE_DATAPLANE_RPC_STREAM_H_
