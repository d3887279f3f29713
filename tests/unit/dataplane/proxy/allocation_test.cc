// No allocation per request in steady state: every call of malloc in this process is counted while a
// real data plane serves kept connections. Client and origin are written so that they allocate
// nothing themselves; what is counted is the agent's.
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>

#include "dataplane/os/socket.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"
#include "tests/unit/dataplane/proxy/sidecar_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WHENCE_COUNTS_ALLOCATIONS 0  // their malloc cannot be replaced
#else
#define WHENCE_COUNTS_ALLOCATIONS 1
#endif

namespace {

std::atomic<uint64_t> allocations = 0;

}  // namespace

#if WHENCE_COUNTS_ALLOCATIONS
// In front of glibc's, for operator new and for C alike.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* old, size_t size);

void* malloc(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
}
#endif

namespace whence::proxy {
namespace {

constexpr int kWarmUp = 300;
constexpr int kRounds = 1000;
constexpr uint64_t kRequestsPerRound = 5;

// One connection's round: what a client may send on it, each with its answer. `wants` is how the
// answer ends.
struct Turn {
  std::string_view request;
  std::string_view wants;
};
constexpr Turn kTurns[] = {
    {"GET /x?q=1 HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n", "ok"},
    {"POST /x HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 4\r\n\r\nbody", "ok"},
    {"POST /x HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n"
     "4\r\nbody\r\n0\r\n\r\n",
     "ok"},
    {"GET /chunked HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n",
     "0\r\n\r\n"},
    {"GET /admin HTTP/1.1\r\nHost: shop.example\r\n\r\n", "RBAC: access denied"},
};
static_assert(std::size(kTurns) == kRequestsPerRound);

bool SendAll(int fd, std::string_view bytes) {
  return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
}

// Reads until what came ends with `mark`. False: the other side ended.
bool ReadUntil(int fd, std::string_view mark, char (&buffer)[16384], std::string_view* out) {
  size_t size = 0;
  while (size < sizeof(buffer)) {
    const ssize_t n = ::recv(fd, buffer + size, sizeof(buffer) - size, 0);
    if (n <= 0) return false;
    size += static_cast<size_t>(n);
    *out = {buffer, size};
    if (out->ends_with(mark)) return true;
  }
  return false;
}

// Answers each request once its end has come: the end of the head, of `body`, or of its chunks.
void Serve(WireEnd& end) {
  char buffer[16384];
  size_t size = 0;
  while (true) {
    const ssize_t n = ::recv(end.fd(), buffer + size, sizeof(buffer) - size, 0);
    if (n <= 0) return;
    size += static_cast<size_t>(n);
    const std::string_view got(buffer, size);
    const bool has_body = got.starts_with("POST");
    if (!got.ends_with(!has_body ? "\r\n\r\n" : got.find("hunked") < size ? "0\r\n\r\n" : "body")) {
      continue;
    }
    const bool chunked = got.starts_with("GET /chunked");
    size = 0;
    SendAll(end.fd(),
            chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
                    : "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: test\r\n\r\nok");
  }
}

void Run(int fd, int rounds) {
  char buffer[16384];
  for (int i = 0; i < rounds; ++i) {
    for (const Turn& turn : kTurns) {
      std::string_view answer;
      if (!SendAll(fd, turn.request) || !ReadUntil(fd, turn.wants, buffer, &answer)) {
        ADD_FAILURE() << "no answer to " << turn.request << ", but " << answer;
        return;
      }
    }
  }
}

uint64_t AllocationsOf(int fd, int rounds) {
  const uint64_t before = allocations;
  Run(fd, rounds);
  return allocations - before;
}

policy::PolicySpec DenyAdmin() {
  policy::PolicySpec spec{.namespace_ = "test", .name = "deny", .action = policy::Action::kDeny};
  policy::Operation operation;
  operation.paths = {"/admin"};
  spec.rules.push_back({.to = {operation}});
  return spec;
}

class GatewayAllocationTest : public GatewayTest {};

TEST_F(GatewayAllocationTest, KeptConnectionsNeedNone) {
  if (!WHENCE_COUNTS_ALLOCATIONS) GTEST_SKIP() << "not under this sanitizer";
  options_.workers = 1;
  Origin origin(Serve);
  Start({.http = {origin.address()}, .policies = {DenyAdmin()}});
  WireEnd client = ConnectHttp();
  EXPECT_GT(AllocationsOf(client.fd(), kWarmUp), 0u) << "nothing is counted";
  EXPECT_EQ(AllocationsOf(client.fd(), kRounds), 0u) << "in " << kRounds * kRequestsPerRound;
  EXPECT_EQ(Count(Counter::kRequestsDenied), uint64_t{kWarmUp + kRounds});
  EXPECT_EQ(origin.connections(), 1);
}

class SidecarAllocationTest : public SidecarTest {};

TEST_P(SidecarAllocationTest, KeptConnectionsNeedNone) {
  if (!WHENCE_COUNTS_ALLOCATIONS) GTEST_SKIP() << "not under this sanitizer";
  options_.workers = 1;
  policies_ = {DenyAdmin()};
  Start(Serve);
  WireEnd client = Connect();
  EXPECT_GT(AllocationsOf(client.fd(), kWarmUp), 0u) << "nothing is counted";
  EXPECT_EQ(AllocationsOf(client.fd(), kRounds), 0u) << "in " << kRounds * kRequestsPerRound;
  EXPECT_EQ(Count(Counter::kRequestsDenied), uint64_t{kWarmUp + kRounds});
}

INSTANTIATE_TEST_SUITE_P(All, SidecarAllocationTest,
                         testing::Values(std::pair{4, InterceptionMode::kTproxy},
                                         std::pair{6, InterceptionMode::kRedirect}),
                         SidecarModeName);

}  // namespace
}  // namespace whence::proxy
