// Long stretches that pass through a pipe.
#include "dataplane/proxy/splice.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/os/socket.h"
#include "gtest/gtest.h"
#include "tests/support/await.h"
#include "tests/support/no_descriptors.h"
#include "tests/unit/dataplane/proxy/wire_end.h"

namespace whence::proxy {
namespace {

constexpr size_t kMuch = 512 * 1024;   // what makes a stream fast
constexpr size_t kPiece = 256 * 1024;  // what it is told of then

class NoHandler : public loop::EventHandler {
 public:
  void OnEvents(uint32_t) override {}
};

class FixedClock final : public Clock {
 public:
  WallTime Now() const override { return {}; }
  SteadyTime SteadyNow() const override { return now; }
  SteadyTime now{std::chrono::hours(1)};
};

struct Connection {
  WireEnd peer;
  std::unique_ptr<Stream> stream;
};

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (char& c : text) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return text;
}

class SpliceTest : public testing::Test {
 protected:
  SpliceTest() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    loop_ = std::move(loop::EventLoop::Create(clock_).value());
  }

  Connection Connect(int receive_buffer = 0) {
    auto listener = os::Listen(*net::SocketAddress::Parse("127.0.0.1:0"), {});
    EXPECT_TRUE(listener.ok());
    Connection made;
    made.peer = WireEnd::ConnectTo(*os::LocalAddress(listener->get()), receive_buffer);
    os::Accepted accepted;
    EXPECT_TRUE(Await([&] { return os::Accept(listener->get(), &accepted) != EAGAIN; }));
    made.stream = std::make_unique<Stream>(std::move(accepted.fd));
    EXPECT_TRUE(made.stream->Register(*loop_, handler_, loop::EventLoop::Interest::kRead));
    return made;
  }
  Connection ConnectFast() {
    Connection made = Connect();
    made.stream->NotePace(kMuch, 1 << 30);
    EXPECT_TRUE(made.stream->worth_splicing());
    return made;
  }
  static void AwaitUnread(const Stream& stream, size_t bytes) {
    ASSERT_TRUE(Await([&] { return os::UnreadBytes(stream.fd()) >= bytes; }));
  }
  // Whatever of `ahead` bytes comes, to `to`, whose other end is read meanwhile.
  void MoveAll(Stream& from, uint64_t ahead, Stream& to) {
    while (ahead > 0) {
      // Not less than what pays at any time, the last piece included.
      const uint64_t piece = ahead < 2 * kPiece ? ahead : kPiece;
      AwaitUnread(from, piece);
      from.Note(EPOLLIN);
      ReadBuffer in;
      const auto moved = SpliceIn(from, piece, pipes_, in);
      if (!moved) return;
      ahead -= moved->bytes;
      while (in.piped() > 0) {
        to.Note(EPOLLOUT);
        ASSERT_NE(SpliceOut(from, in, to).io, Io::kBroken);
      }
    }
  }

  FixedClock clock_;
  NoHandler handler_;
  std::unique_ptr<loop::EventLoop> loop_;
  WorkerCounters counters_;
  PipePool pipes_{counters_, 4};
};

// ---- The pool ----

TEST_F(SpliceTest, PipesAreFewAndUsedAgain) {
  PipePool pool(counters_, 2);
  PipeHandle first = pool.Take();
  PipeHandle second = pool.Take();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(pool.Take(), nullptr);
  EXPECT_EQ(counters_.Get(Counter::kPipesShort), 1u);
  const Pipe* const known = first.get();
  first.reset();
  first = pool.Take();
  EXPECT_EQ(first.get(), known);
  EXPECT_EQ(pool.open(), 2u);
}

TEST_F(SpliceTest, APipeWithBytesInItIsNeverUsedAgain) {
  Connection from = ConnectFast();
  from.peer.Send("secret of another");
  AwaitUnread(*from.stream, 17);
  PipeHandle pipe = pipes_.Take();
  ASSERT_NE(pipe, nullptr);
  EXPECT_EQ(pipe->Fill(from.stream->fd(), 1000), 17);
  pipe.reset();
  EXPECT_EQ(pipes_.open(), 0u);
}

TEST_F(SpliceTest, UnusedPipesAreClosed) {
  pipes_.Take().reset();
  pipes_.Trim();
  EXPECT_EQ(pipes_.open(), 1u) << "used since the last";
  pipes_.Trim();
  EXPECT_EQ(pipes_.open(), 0u);
}

TEST_F(SpliceTest, ScarceDescriptorsAreLeftToConnections) {
  const os::UniqueFd highest(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  {
    const NoDescriptors shortage(static_cast<rlim_t>(highest.get() + 4));
    EXPECT_EQ(pipes_.Take(), nullptr);
    EXPECT_EQ(pipes_.open(), 0u);
  }
  EXPECT_EQ(pipes_.Take(), nullptr) << "asked for again with every piece";
  pipes_.Trim();
  EXPECT_NE(pipes_.Take(), nullptr);
}

// ---- Moving ----

TEST_F(SpliceTest, WhatIsBehindTheStretchStaysInTheSocket) {
  Connection from = ConnectFast();
  Connection to = Connect();
  const std::string body = Pattern(3'000'001);
  const std::string next = "GET /next HTTP/1.1\r\n";
  std::thread sending([&] { from.peer.Send(body + next); });
  std::string got;
  std::thread reading([&] { got = to.peer.ReadToEnd(); });
  // The last of it is too short for a pipe, and what is behind comes with it.
  const size_t whole = 2'900'000;
  MoveAll(*from.stream, whole, *to.stream);
  sending.join();
  AwaitUnread(*from.stream, body.size() - whole + next.size());
  std::vector<char> rest(1 << 20);
  const auto [io, bytes] = from.stream->Read(rest);
  EXPECT_EQ(io, Io::kMoved);
  EXPECT_TRUE(std::string_view(rest.data(), bytes) == body.substr(whole) + next);
  to.stream->ShutdownWrite();
  reading.join();
  EXPECT_TRUE(got == body.substr(0, whole));
  EXPECT_EQ(counters_.Get(Counter::kBytesSpliced), whole);
}

TEST_F(SpliceTest, IsNotUsedWhereItDoesNotPay) {
  Connection fast = ConnectFast();
  fast.peer.Send(Pattern(kPiece));
  AwaitUnread(*fast.stream, kPiece);
  ReadBuffer in;
  EXPECT_FALSE(SpliceIn(*fast.stream, 1000, pipes_, in)) << "little is ahead";
  BufferPool buffers;
  in.Room(buffers, 100)[0] = 'x';
  in.Filled(1);
  EXPECT_FALSE(SpliceIn(*fast.stream, kMuch, pipes_, in)) << "something waits before it";
  in.Skip(1);
  EXPECT_TRUE(SpliceIn(*fast.stream, kMuch, pipes_, in));
  EXPECT_FALSE(SpliceIn(*fast.stream, kMuch, pipes_, in)) << "it holds a pipe";
  EXPECT_TRUE(in.Room(buffers, 100).empty()) << "no bytes may come behind those in the pipe";

  Connection slow = Connect();
  ReadBuffer other;
  EXPECT_FALSE(SpliceIn(*slow.stream, kMuch, pipes_, other)) << "slow";
}

TEST_F(SpliceTest, TellsTheEndBehindTheLastByte) {
  Connection from = ConnectFast();
  from.peer.Send(Pattern(200'000));
  from.peer.Finish();
  AwaitUnread(*from.stream, 200'000);
  size_t bytes = 0;
  for (;;) {
    from.stream->Note(EPOLLIN);
    ReadBuffer in;
    const auto moved = SpliceIn(*from.stream, Stream::kUnknown, pipes_, in);
    ASSERT_TRUE(moved);
    bytes += moved->bytes;
    if (moved->io == Io::kEnd) break;
    ASSERT_EQ(moved->io, Io::kMoved);
  }
  EXPECT_EQ(bytes, 200'000u);
  EXPECT_TRUE(from.stream->at_end());
}

TEST_F(SpliceTest, ToldOfTheEndItReadsOnToIt) {
  Connection from = ConnectFast();
  from.peer.Send(Pattern(200'000));
  from.peer.Finish();
  AwaitUnread(*from.stream, 200'000);
  from.stream->Note(EPOLLIN | EPOLLRDHUP);  // no other event will come
  ReadBuffer in;
  ASSERT_EQ(SpliceIn(*from.stream, Stream::kUnknown, pipes_, in)->io, Io::kMoved);
  EXPECT_TRUE(from.stream->readable());
}

TEST_F(SpliceTest, TellsAReset) {
  Connection from = ConnectFast();
  from.peer.Send(Pattern(200'000));
  AwaitUnread(*from.stream, 200'000);
  from.peer.Reset();
  Io io = Io::kMoved;
  while (io == Io::kMoved || io == Io::kBlocked) {
    from.stream->Note(EPOLLIN);
    ReadBuffer in;
    const auto moved = SpliceIn(*from.stream, Stream::kUnknown, pipes_, in);
    ASSERT_TRUE(moved);
    io = moved->io;
  }
  EXPECT_EQ(io, Io::kBroken);
  EXPECT_TRUE(from.stream->broken());
}

// All of the stretch came, and a byte more: whoever asks whether there is more has to learn it.
TEST_F(SpliceTest, TellsOfTheFirstByteBehindTheStretch) {
  for (const bool more : {false, true}) {
    Connection from = ConnectFast();
    from.peer.Send(Pattern(200'000 + (more ? 1 : 0)));
    AwaitUnread(*from.stream, 200'000 + (more ? 1 : 0));
    from.stream->Note(EPOLLIN);
    ReadBuffer in;
    EXPECT_EQ(SpliceIn(*from.stream, 200'000, pipes_, in)->bytes, 200'000u);
    EXPECT_EQ(from.stream->readable(), more);
  }
}

TEST_F(SpliceTest, NothingCameIsToldOfLater) {
  Connection from = ConnectFast();
  from.stream->Note(EPOLLIN);
  ReadBuffer in;
  EXPECT_EQ(SpliceIn(*from.stream, Stream::kUnknown, pipes_, in)->io, Io::kBlocked);
  EXPECT_FALSE(from.stream->readable());
  EXPECT_TRUE(in.empty());
}

TEST_F(SpliceTest, AReceiverThatTakesNothingKeepsThePipeAndLosesNothing) {
  Connection from = ConnectFast();
  Connection to = Connect(/*receive_buffer=*/32 * 1024);
  const std::string data = Pattern(64 << 20);
  std::thread sending([&] { from.peer.Send(data); });
  size_t taken = 0;
  ReadBuffer in;
  while (to.stream->writable()) {
    from.stream->Note(EPOLLIN);
    const auto moved = SpliceIn(*from.stream, Stream::kUnknown, pipes_, in);
    if (moved) taken += moved->bytes;
    if (in.piped() > 0) {
      ASSERT_NE(SpliceOut(*from.stream, in, *to.stream).io, Io::kBroken);
    }
    ASSERT_LT(taken, data.size());
  }
  EXPECT_GT(in.piped(), 0u);
  EXPECT_LE(in.piped(), PipePool::kBytes);
  std::string got;
  std::thread reading([&] { got = to.peer.ReadToEnd(); });
  while (in.piped() > 0) {
    to.stream->Note(EPOLLOUT);
    ASSERT_NE(SpliceOut(*from.stream, in, *to.stream).io, Io::kBroken);
  }
  EXPECT_FALSE(in.has_ready());
  MoveAll(*from.stream, data.size() - taken - 1000, *to.stream);
  to.stream->ShutdownWrite();
  reading.join();
  EXPECT_TRUE(data.compare(0, got.size(), got) == 0);
  EXPECT_EQ(got.size(), counters_.Get(Counter::kBytesSpliced));
  from.stream->Reset();
  sending.join();
}

TEST_F(SpliceTest, AReceiverThatIsGoneIsBroken) {
  Connection from = ConnectFast();
  Connection to = Connect();
  to.peer.Reset();
  from.peer.Send(Pattern(kPiece));
  AwaitUnread(*from.stream, kPiece);
  ReadBuffer in;
  from.stream->Note(EPOLLIN);
  ASSERT_EQ(SpliceIn(*from.stream, kMuch, pipes_, in)->io, Io::kMoved);
  Io io = Io::kMoved;
  while (io != Io::kBroken && in.piped() > 0) io = SpliceOut(*from.stream, in, *to.stream).io;
  EXPECT_EQ(io, Io::kBroken);
  in.DropReady();
  EXPECT_EQ(pipes_.open(), 0u);
}

// ---- When it is worth it ----

TEST_F(SpliceTest, WhoseReceiverIsSlowDoesWithoutForAWhile) {
  Connection from = ConnectFast();
  from.stream->NoteDrained(loop_->now() - std::chrono::milliseconds(20));
  EXPECT_TRUE(from.stream->worth_splicing());
  from.stream->NoteDrained(loop_->now() - std::chrono::milliseconds(21));
  int copied = 0;
  while (!from.stream->worth_splicing()) {
    from.stream->NotePace(kMuch, 1 << 30);
    ASSERT_LT(++copied, 100);
  }
  EXPECT_EQ(copied, 32);
}

// ---- Lateness ----

class StopLater {
 public:
  StopLater(loop::EventLoop& loop, std::chrono::milliseconds delay)
      : loop_(loop),
        timer_(
            +[](void* self) { static_cast<StopLater*>(self)->loop_.Stop(); }, this) {
    loop.ArmAfter(timer_, delay);
  }

 private:
  loop::EventLoop& loop_;
  loop::Timer timer_;
};

class LatenessTest : public SpliceTest {
 protected:
  LatenessTest() { loop_ = std::move(loop::EventLoop::Create(system_clock_).value()); }
  // Whether it is still fast after a time that is too long for a piece.
  bool StaysFast(size_t unread) {
    Connection from = ConnectFast();
    const std::string bytes = Pattern(unread);
    std::thread sending([&] { from.peer.Send(bytes); });
    AwaitUnread(*from.stream, unread);
    const StopLater stop(*loop_, std::chrono::milliseconds(50));
    loop_->Run();
    sending.join();
    return from.stream->fast();
  }
  SystemClock system_clock_;
};

TEST_F(LatenessTest, WhoBringsTooLittleIsSlow) { EXPECT_FALSE(StaysFast(1000)); }
// Else a stream whose receiver is the slower side would be copied, in small pieces, ever after.
TEST_F(LatenessTest, WhatHasComeAndIsNotReadIsNotLate) { EXPECT_TRUE(StaysFast(kPiece)); }

}  // namespace
}  // namespace whence::proxy
