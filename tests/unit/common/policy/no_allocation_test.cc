// What runs per request must not allocate: counted here, through the global operator new.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "common/policy/policy_set.h"
#include "common/trust/forwarding.h"
#include "tests/unit/common/trust/request_builder.h"

namespace {
size_t allocations = 0;  // of this test program, which has one thread
}  // namespace

void* operator new(size_t size) {
  ++allocations;
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace whence {
namespace {

TEST(NoAllocationTest, CountsAtAll) {
  const size_t before = allocations;
  const std::string text(100, 'x');
  EXPECT_GT(allocations, before) << text;
}

TEST(NoAllocationTest, ResolvingForwardingAndDecidingDoNotAllocate) {
  const trust::Topology topology = trust::Trusting(trust::Role::kGateway, {"192.0.2.0/24"});
  const trust::Headers headers({{"x-forwarded-for", "6.6.6.6,198.18.7.7,192.0.2.8"},
                                {"x-forwarded-for", "192.0.2.7"},
                                {"x-role", "user"},
                                {"x-role", "a header value that is too long for a short string"},
                                {"x-envoy-retry-on", "5xx"}});
  const auto policies = policy::PolicySet::Compile(
      {policy::PolicySpec{
          .namespace_ = "foo",
          .name = "p",
          .action = policy::Action::kDeny,
          .rules = {policy::Rule{
              .from = {policy::Source{.remote_ip_blocks = {"198.18.0.0/15", "2001:db8::/32"}}},
              .to = {policy::Operation{.hosts = {"*.example"}, .paths = {"/x", "/a/{*}/{**}"}}},
              .when = {policy::Condition{.key = "request.headers[x-role]",
                                         .values = {"*short string"}}}}}}},
      nullptr);
  ASSERT_TRUE(policies.ok());
  char memory[4096];

  const size_t before = allocations;
  const trust::Evidence evidence = headers.evidence();
  const trust::Resolution resolution = trust::Resolve(trust::Peer("192.0.2.9"), evidence, topology);
  const auto plan = trust::PlanForwarding(evidence, resolution, topology, {}, memory);
  const policy::Verdict verdict = (*policies)->Evaluate(
      policy::RequestFacts{.peer = trust::Peer("192.0.2.9"),
                           .client = resolution.client,
                           .destination = {{resolution.nearest_hop, 80}},
                           .is_http = true,
                           .method = "GET",
                           .host = "echo.example",
                           .target = "/x/..//%61/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t?query",
                           .headers = headers.fields()});
  const size_t after = allocations;

  EXPECT_EQ(after, before);
  ASSERT_TRUE(plan);
  EXPECT_EQ(resolution.client.ip().ToString(), "198.18.7.7");
  EXPECT_FALSE(verdict.allowed);
}

}  // namespace
}  // namespace whence
