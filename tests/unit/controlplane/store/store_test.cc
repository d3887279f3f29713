#include "tests/unit/controlplane/store/store_test.h"

#include <gmock/gmock.h>

namespace whence::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST_P(StoreTest, GivesBackWhatWasCommittedAfterAReopen) {
  {
    auto store = Open();
    EXPECT_EQ(store->Load()->revision, 0u);
    auto first = store->Commit(Put({Policy("b", "10.0.0.0/8"), Mesh("istio-system")}));
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->revision, 1u);
    EXPECT_EQ(store->Commit(Put({Policy("a", "10.0.0.0/8")}))->revision, 2u);
  }
  auto contents = Open()->Load();
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->revision, 2u);
  ASSERT_THAT(contents->documents, SizeIs(3));
  EXPECT_EQ(contents->documents[0].document().metadata().name(), "a");
  EXPECT_EQ(contents->documents[1].document().SerializeAsString(),
            Policy("b", "10.0.0.0/8").SerializeAsString());
  EXPECT_EQ(contents->documents[1].revision(), 1u);
  EXPECT_EQ(contents->documents[1].author(), "ana");
  EXPECT_EQ(contents->documents[1].time_us(), 1'700'000'000'000'001);
  EXPECT_EQ(contents->documents[2].document().kind(), "Mesh");
}

TEST_P(StoreTest, MakesNoRevisionOfNoChange) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Mesh("x")})).ok());
  auto again = store->Commit(Put({Mesh("x")}));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->revision, 0u);
  EXPECT_EQ(again->changes[0].action(), v1::Change::UNCHANGED);
  EXPECT_EQ(store->Load()->revision, 1u);
}

TEST_P(StoreTest, CommitsAllOrNothing) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Mesh("x")})).ok());
  CommitRequest mixed = Put({Policy("a", "10.0.0.0/8"), Mesh("y")});
  mixed.mutations.push_back({{"IpPolicy", "demo", "missing"}, std::nullopt});
  auto refused = store->Commit(mixed);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("IpPolicy demo/missing"));
  EXPECT_EQ(store->Load()->revision, 1u);
  ASSERT_THAT(store->Load()->documents, SizeIs(1));
  EXPECT_EQ(store->Load()->documents[0].document().mesh().root_namespace(), "x");
}

TEST_P(StoreTest, RefusesAnotherRevisionThanExpected) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Mesh("x")})).ok());
  CommitRequest late = Put({Mesh("y")});
  late.expected_revision = 0;
  EXPECT_EQ(store->Commit(late).status().code(), absl::StatusCode::kAborted);
  late.expected_revision = 1;
  EXPECT_EQ(store->Commit(late)->revision, 2u);
}

TEST_P(StoreTest, RemembersEachDifference) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Policy("a", "10.0.0.0/8")})).ok());
  ASSERT_TRUE(store->Commit(Put({Policy("a", "11.0.0.0/8"), Mesh("x")})).ok());
  ASSERT_TRUE(store->Commit(Remove({"IpPolicy", "demo", "a"})).ok());
  ASSERT_TRUE(store->Commit(Put({Policy("a", "12.0.0.0/8")})).ok());

  auto second = store->Differences(2);
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_THAT(*second, SizeIs(2));
  auto block = [](const v1::Document& document) {
    return document.ip_policy().rules(0).from(0).source().ip_blocks(0);
  };
  EXPECT_EQ(block(*(*second)[0].before), "10.0.0.0/8");
  EXPECT_EQ(block(*(*second)[0].after), "11.0.0.0/8");
  EXPECT_FALSE((*second)[1].before);
  auto third = store->Differences(3);
  EXPECT_EQ(block(*(*third)[0].before), "11.0.0.0/8");
  EXPECT_FALSE((*third)[0].after);
  // Created anew: what was deleted before it is not its old value.
  EXPECT_FALSE((*store->Differences(4))[0].before);
  EXPECT_EQ(store->Differences(5).status().code(), absl::StatusCode::kNotFound);

  auto history = store->History(3, 0);
  ASSERT_THAT(*history, SizeIs(3));
  EXPECT_EQ((*history)[0].revision, 4u);
  EXPECT_EQ((*history)[0].author, "ana");
  EXPECT_EQ((*history)[0].message, "because");
}

TEST_P(StoreTest, LooksBackToEveryRevision) {
  CommitRequest known = Put({Policy("a", "10.0.0.0/8"), Mesh("x")});
  known.author_verified = true;
  {
    auto store = Open();
    ASSERT_TRUE(store->Commit(known).ok());
    ASSERT_TRUE(store->Commit(Put({Policy("a", "11.0.0.0/8")})).ok());
    ASSERT_TRUE(store->Commit(Remove({"IpPolicy", "demo", "a"})).ok());
    ASSERT_TRUE(store->Commit(Put({Policy("b", "12.0.0.0/8")})).ok());
  }
  auto store = Open();
  EXPECT_THAT(store->LoadAt(0)->documents, SizeIs(0));
  auto first = store->LoadAt(1);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_THAT(first->documents, SizeIs(2));
  EXPECT_EQ(first->documents[0].document().SerializeAsString(),
            Policy("a", "10.0.0.0/8").SerializeAsString());
  EXPECT_TRUE(first->documents[0].author_verified());
  EXPECT_EQ(store->LoadAt(2)->documents[0].revision(), 2u);
  ASSERT_THAT(store->LoadAt(3)->documents, SizeIs(1));
  ASSERT_THAT(store->LoadAt(4)->documents, SizeIs(2));
  EXPECT_EQ(store->LoadAt(4)->documents[0].document().metadata().name(), "b");
  EXPECT_EQ(store->LoadAt(5).status().code(), absl::StatusCode::kNotFound);

  auto page = store->History(2, 4);
  ASSERT_THAT(*page, SizeIs(2));
  EXPECT_EQ((*page)[0].revision, 3u);
  EXPECT_EQ((*page)[0].changes[0].action(), v1::Change::DELETED);
  EXPECT_EQ((*page)[0].changes[0].kind(), "AuthorizationPolicy");
  EXPECT_FALSE((*page)[1].author_verified);
  EXPECT_TRUE(store->History(1, 2)->front().author_verified);
  EXPECT_THAT(store->History(1, 2)->front().changes, SizeIs(2));

  EXPECT_EQ((*store->LastChange({"IpPolicy", "demo", "a"}))->revision, 3u);
  EXPECT_EQ((*store->LastChange({"Mesh", "", "mesh"}))->revision, 1u);
  EXPECT_EQ(*store->LastChange({"IpPolicy", "demo", "never"}), std::nullopt);
}

TEST_P(StoreTest, NamesADeletedPolicyAsItWasWritten) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Policy("a", "10.0.0.0/8")})).ok());
  auto deleted = store->Commit(Remove({"IpPolicy", "demo", "a"}));
  ASSERT_TRUE(deleted.ok());
  EXPECT_EQ(deleted->changes[0].kind(), "AuthorizationPolicy");
  EXPECT_EQ(deleted->changes[0].action(), v1::Change::DELETED);
}

TEST_P(StoreTest, KnowsItsLatestRevision) {
  auto store = Open();
  EXPECT_EQ(*store->LatestRevision(), 0u);
  ASSERT_TRUE(store->Commit(Put({Mesh("x")})).ok());
  EXPECT_EQ(*store->LatestRevision(), 1u);
}

TEST_P(StoreTest, ACopyKeepsItsNumbersAndNeverGoesBack) {
  auto store = Open();
  CommitRequest copied = Put({Mesh("x")});
  copied.as_revision = 7;
  EXPECT_EQ(store->Commit(copied)->revision, 7u);
  CommitRequest back = Put({Mesh("y")});
  back.as_revision = 7;
  EXPECT_EQ(store->Commit(back).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Commit(Put({Mesh("z")}))->revision, 8u);
  auto history = store->History(10, 0);
  ASSERT_THAT(*history, SizeIs(2));
  EXPECT_EQ((*history)[1].revision, 7u);
  EXPECT_EQ((*store->Differences(8))[0].before->mesh().root_namespace(), "x");
  EXPECT_EQ(store->LoadAt(3).status().code(), absl::StatusCode::kNotFound);
}

// More documents than one transaction of any store takes at once, and more bytes.
TEST_P(StoreTest, TakesManyDocumentsInOneRevision) {
  constexpr int kCount = 1500;
  std::vector<v1::Document> documents;
  for (int i = 0; i < kCount; ++i) {
    documents.push_back(Policy("p" + std::to_string(i), "10.0.0.0/8"));
    (*documents.back().mutable_metadata()->mutable_annotations())["note"] =
        std::string(1000, static_cast<char>('a' + i % 26));
  }
  auto store = Open();
  ASSERT_EQ(store->Commit(Put(documents))->revision, 1u);
  documents[700] = Policy("p700", "192.0.2.0/24");
  EXPECT_EQ(store->Commit(Put(documents))->revision, 2u);
  CommitRequest removal;
  for (int i = 0; i < 500; ++i) {
    removal.mutations.push_back({{"IpPolicy", "demo", "p" + std::to_string(i)}, std::nullopt});
  }
  EXPECT_EQ(store->Commit(removal)->revision, 3u);
  store.reset();
  store = Open();
  EXPECT_THAT(store->Load()->documents, SizeIs(kCount - 500));
  EXPECT_THAT(store->LoadAt(2)->documents, SizeIs(kCount));
  EXPECT_THAT(*store->Differences(2), SizeIs(1));
  EXPECT_THAT(*store->Differences(3), SizeIs(500));
  EXPECT_THAT((*store->History(1, 0))[0].changes, SizeIs(500));
}

TEST_P(StoreTest, KeepsALargeSetThroughManyChanges) {
  constexpr uint32_t kCount = 50'000;
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({LargeSet(Numbers(0, kCount))})).ok());
  EXPECT_EQ(store->Commit(Put({LargeSet(Numbers(0, kCount))}))->revision, 0u);
  net::PackedCidrs content;
  for (uint32_t i = 1; i <= 70; ++i) {  // longer than a chain of differences may be
    content = net::Union(Numbers(i, kCount - i), Numbers(1 << 20, i));
    ASSERT_EQ(store->Commit(Put({LargeSet(content)}))->revision, i + 1);
  }
  store.reset();
  store = Open();
  EXPECT_EQ(store->Load()->documents[0].document().SerializeAsString(),
            LargeSet(content).SerializeAsString());
  EXPECT_EQ(store->LoadAt(50)->documents[0].document().ip_set().packed().v4(),
            net::Union(Numbers(49, kCount - 49), Numbers(1 << 20, 49)).v4);
  EXPECT_EQ((*store->Differences(60))[0].before->ip_set().packed().v4(),
            net::Union(Numbers(58, kCount - 58), Numbers(1 << 20, 58)).v4);
  // Only its metadata: the content stays what it was.
  v1::Document named = LargeSet(content);
  (*named.mutable_metadata()->mutable_labels())["feed"] = "drop";
  ASSERT_EQ(store->Commit(Put({named}))->revision, 72u);
  EXPECT_EQ(store->Load()->documents[0].document().SerializeAsString(), named.SerializeAsString());
  ASSERT_EQ(store->Commit(Remove({"IpSet", "shop", "big"}))->revision, 73u);
  ASSERT_EQ(store->Commit(Put({LargeSet(Numbers(0, kCount))}))->revision, 74u);
  store.reset();
  EXPECT_EQ(Open()->Load()->documents[0].document().ip_set().packed().v4(), Numbers(0, kCount).v4);
}

}  // namespace
}  // namespace whence::store
