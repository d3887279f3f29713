// The small pure parts: buffers, local answers, request ids, the end of chunking.
#include <array>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/dechunk.h"
#include "dataplane/proxy/error_response.h"
#include "dataplane/proxy/request_id.h"
#include "dataplane/proxy/spares.h"
#include "gtest/gtest.h"

namespace whence::proxy {
namespace {

void Put(BufferPool& pool, ReadBuffer& buffer, std::string_view bytes) {
  const std::span<char> room = buffer.Room(pool, BufferPool::kNormal);
  ASSERT_GE(room.size(), bytes.size());
  std::copy(bytes.begin(), bytes.end(), room.begin());
  buffer.Filled(bytes.size());
}

TEST(ReadBufferTest, KeepsJudgedAndUnjudgedBytesApart) {
  BufferPool pool;
  ReadBuffer buffer;
  Put(pool, buffer, "HEAD5;x hello rest");
  buffer.Skip(4);
  EXPECT_EQ(buffer.raw(), "5;x hello rest");
  buffer.Pass(10, 3);  // three of ten bytes go on
  EXPECT_EQ(buffer.ready(), "5;x");
  EXPECT_EQ(buffer.raw(), "rest");
  buffer.Sent(2);
  EXPECT_EQ(buffer.ready(), "x");
  Put(pool, buffer, "+more");
  EXPECT_EQ(buffer.ready(), "x");
  EXPECT_EQ(buffer.raw(), "rest+more");
  EXPECT_FALSE(buffer.empty());
}

TEST(ReadBufferTest, IsBoundedAndMovesWhatIsLeftToTheFront) {
  BufferPool pool;
  ReadBuffer buffer;
  Put(pool, buffer, std::string(BufferPool::kNormal - 3, 'a'));
  buffer.Skip(BufferPool::kNormal - 10);
  EXPECT_EQ(buffer.Room(pool, BufferPool::kNormal).size(), BufferPool::kNormal - 7);
  EXPECT_EQ(buffer.raw(), "aaaaaaa");
  Put(pool, buffer, std::string(BufferPool::kNormal - 7, 'b'));
  EXPECT_TRUE(buffer.Room(pool, BufferPool::kNormal).empty()) << "full means: stop reading";
}

TEST(ReadBufferTest, GivesItsMemoryBackWhenEmpty) {
  BufferPool pool;
  ReadBuffer first, second;
  Put(pool, first, "x");
  const char* memory = first.raw().data();
  first.Skip(1);
  first.Trim();
  Put(pool, second, "y");
  EXPECT_EQ(second.raw().data(), memory);
}

TEST(BufferPoolTest, GivesBackWhatTwoTrimsFoundUnused) {
  BufferPool pool;
  {
    const Buffer head = pool.Take(300);
    const Buffer body = pool.Take(BufferPool::kLarge);
    EXPECT_EQ(head.size(), BufferPool::kSmall);
    EXPECT_EQ(body.size(), BufferPool::kLarge);
  }
  EXPECT_EQ(pool.idle_bytes(), BufferPool::kSmall + BufferPool::kLarge);
  pool.Trim();
  EXPECT_EQ(pool.idle_bytes(), BufferPool::kSmall + BufferPool::kLarge) << "used since the last";
  { const Buffer head = pool.Take(300); }
  pool.Trim();
  EXPECT_EQ(pool.idle_bytes(), BufferPool::kSmall);
  pool.Trim();
  EXPECT_EQ(pool.idle_bytes(), 0u);
}

template <size_t size>
struct Thing : InPages {
  std::array<char, size> bytes;
};

template <size_t size>
void MakeAndUnmake() {
  std::vector<std::unique_ptr<Thing<size>>> things;
  std::set<uintptr_t> lines;
  for (char c = 0; c < 20; ++c) {
    things.push_back(std::make_unique<Thing<size>>());
    things.back()->bytes.fill(c);
    lines.insert(reinterpret_cast<uintptr_t>(things.back().get()) % 4096 / 64);
  }
  for (char c = 0; c < 20; ++c) {
    EXPECT_EQ(things[static_cast<size_t>(c)]->bytes.front(), c);
    EXPECT_EQ(things[static_cast<size_t>(c)]->bytes.back(), c);
  }
  EXPECT_EQ(lines.size() > 1, size % 4096 != 0) << size;
}

TEST(InPagesTest, EachHasItsOwn) {
  MakeAndUnmake<1>();
  MakeAndUnmake<1'400>();
  MakeAndUnmake<4'096>();
  MakeAndUnmake<5'000>();
}

TEST(SparesTest, KeepsWhatIsInUseAndNoMoreThanItMay) {
  Spares<int> spares(3);
  for (int i = 1; i <= 5; ++i) spares.Give(i);
  EXPECT_EQ(spares.size(), 3u);
  spares.Trim();
  EXPECT_EQ(spares.Take(), 3) << "the last one given is the warmest";
  spares.Give(3);
  spares.Trim();
  EXPECT_EQ(spares.size(), 1u);
  EXPECT_EQ(spares.Take(), 3);
}

TEST(WriteBufferTest, CanSendAllOfItAgain) {
  BufferPool pool;
  WriteBuffer buffer;
  const std::span<char> room = buffer.Room(pool, 5);
  std::copy_n("hello", 5, room.begin());
  buffer.Written(5);
  EXPECT_TRUE(buffer.untouched());
  buffer.Sent(5);
  EXPECT_TRUE(buffer.empty());
  buffer.Rewind();
  EXPECT_EQ(buffer.pending(), "hello");
  // More room than one chunk has.
  buffer.Room(pool, BufferPool::kLarge * 2);
  EXPECT_EQ(buffer.pending(), "hello");
}

TEST(ErrorResponseTest, IsAWholeResponse) {
  char out[kMaxErrorResponse];
  const auto write = [&](const ErrorResponse& response) {
    return std::string(out, WriteErrorResponse(response, out));
  };
  EXPECT_EQ(write({.status = 403, .body = kDeniedBody, .close = false}),
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\ncontent-type: text/plain\r\n\r\n"
            "RBAC: access denied");
  EXPECT_EQ(write({.status = 404, .body = "x", .close = true, .head = true}),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 1\r\ncontent-type: text/plain\r\n"
            "connection: close\r\n\r\n");
  EXPECT_LT(write({.status = 500, .body = std::string(10'000, 'x')}).size(), sizeof(out));
}

TEST(RequestIdsTest, AreDistinctUuids) {
  RequestIds ids({1, 2});
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id(ids.Next());
    ASSERT_EQ(id.size(), 36u);
    EXPECT_EQ(id[14], '4');
    EXPECT_NE(std::string("89ab").find(id[19]), std::string::npos);
    EXPECT_EQ(id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-', true);
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(DechunkTest, GivesTheSamePayloadHoweverItIsSplit) {
  const std::string wire = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\nNEXT";
  for (size_t split = 1; split <= wire.size(); ++split) {
    http::BodyDecoder decoder(http::BodyFraming::kChunked, 0);
    std::string payload, waiting;
    for (size_t at = 0; at < wire.size(); at += split) {
      waiting += wire.substr(at, split);
      const auto passed = Dechunk(decoder, waiting);
      payload += waiting.substr(0, passed.produced);
      waiting.erase(0, passed.consumed);
      EXPECT_NE(passed.status, http::ParseStatus::kReject);
    }
    EXPECT_TRUE(decoder.done());
    EXPECT_EQ(payload, "hello world");
    EXPECT_EQ(waiting, "NEXT");
  }
}

TEST(DechunkTest, StopsAtAnError) {
  http::BodyDecoder decoder(http::BodyFraming::kChunked, 0);
  std::string wire = "2\r\nabXX";
  EXPECT_EQ(Dechunk(decoder, wire).status, http::ParseStatus::kReject);
}

TEST(CountersTest, EveryCounterHasAName) {
  for (size_t i = 0; i < kCounterCount; ++i) {
    EXPECT_FALSE(Info(static_cast<Counter>(i)).metric.empty()) << i;
    EXPECT_FALSE(Info(static_cast<Counter>(i)).help.empty()) << i;
  }
  WorkerCounters worker;
  worker.Add(Counter::kLoops, 3);
  worker.Add(Counter::kConnectionsActive);
  worker.Subtract(Counter::kConnectionsActive);
  Counters sum;
  worker.AddTo(sum);
  worker.AddTo(sum);
  EXPECT_EQ(sum[Counter::kLoops], 6u);
  EXPECT_EQ(sum[Counter::kConnectionsActive], 0u);
}

}  // namespace
}  // namespace whence::proxy
