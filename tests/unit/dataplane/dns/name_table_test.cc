#include "dataplane/dns/name_table.h"

#include "gmock/gmock.h"

namespace whence::dns {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }

const SteadyTime kStart = SteadyTime() + std::chrono::hours(1);

struct Bench {
  NameTable table{NameLimits{.floor = seconds(5),
                             .ceiling = seconds(60),
                             .retry = seconds(1),
                             .longest_retry = seconds(10)}};
  SteadyTime now = kStart;

  explicit Bench(const std::set<std::string>& names) { table.Want(names, now); }
  std::vector<std::string> Due() { return table.TakeDue(now); }
  // How long after now the next one is due.
  milliseconds Wait() {
    return std::chrono::duration_cast<milliseconds>(table.NextDue().value() - now);
  }
};

TEST(NameTableTest, AsksOnceAndThenByTtlWithinBounds) {
  Bench bench({"a", "b"});
  EXPECT_THAT(bench.Due(), ElementsAre("a", "b"));
  EXPECT_THAT(bench.Due(), IsEmpty()) << "under way";
  EXPECT_EQ(bench.table.NextDue(), std::nullopt);
  const std::pair<int, int> rows[] = {{0, 5}, {1, 5}, {30, 30}, {86'400, 60}};
  for (const auto& [ttl, wait] : rows) {
    bench.table.Answered("a", {Ip("10.0.0.1")}, seconds(ttl), bench.now);
    EXPECT_EQ(bench.Wait(), seconds(wait)) << ttl;
  }
  bench.now += seconds(59);
  EXPECT_THAT(bench.Due(), IsEmpty());
  bench.now += seconds(1);
  EXPECT_THAT(bench.Due(), ElementsAre("a"));
}

TEST(NameTableTest, FailuresKeepWhatIsKnownAndWaitLonger) {
  Bench bench({"a"});
  bench.Due();
  bench.table.Answered("a", {Ip("10.0.0.1")}, seconds(5), bench.now);
  for (const int wait : {1, 2, 4, 8, 10, 10}) {
    bench.table.Failed("a", bench.now);
    EXPECT_EQ(bench.Wait(), seconds(wait));
  }
  EXPECT_EQ(bench.table.failing(), 1u);
  EXPECT_THAT(bench.table.Known().at("a"), ElementsAre(Ip("10.0.0.1")));
  EXPECT_FALSE(bench.table.Answered("a", {Ip("10.0.0.1")}, seconds(5), bench.now));
  EXPECT_EQ(bench.table.failing(), 0u);
  bench.table.Failed("a", bench.now);
  EXPECT_EQ(bench.Wait(), seconds(1));
}

TEST(NameTableTest, TurningRoundIsNoChange) {
  Bench bench({"a"});
  const auto answer = [&](std::vector<net::IpAddress> addresses) {
    return bench.table.Answered("a", std::move(addresses), seconds(1), bench.now);
  };
  EXPECT_FALSE(answer({}));
  EXPECT_TRUE(answer({Ip("10.0.0.2"), Ip("10.0.0.1"), Ip("2001:db8::1")}));
  EXPECT_FALSE(answer({Ip("10.0.0.1"), Ip("2001:db8::1"), Ip("10.0.0.2"), Ip("10.0.0.1")}));
  EXPECT_EQ(bench.table.Known().at("a").front(), Ip("10.0.0.2")) << "the first stays the first";
  EXPECT_TRUE(answer({Ip("10.0.0.1"), Ip("10.0.0.2")}));
  EXPECT_TRUE(answer({Ip("10.0.0.3"), Ip("10.0.0.1")}));
  EXPECT_EQ(bench.table.Known().at("a").front(), Ip("10.0.0.3"));
}

TEST(NameTableTest, ForgetsWhatNobodyWants) {
  Bench bench({"a", "b"});
  bench.Due();
  bench.table.Answered("a", {Ip("10.0.0.1")}, seconds(5), bench.now);
  bench.table.Want({"a", "c"}, bench.now);
  EXPECT_FALSE(bench.table.Answered("b", {Ip("10.0.0.1")}, seconds(5), bench.now));
  bench.table.Failed("b", bench.now);
  EXPECT_THAT(bench.Due(), ElementsAre("c")) << "a is known and not due";
  EXPECT_EQ(bench.table.Known().size(), 1u);
}

}  // namespace
}  // namespace whence::dns
