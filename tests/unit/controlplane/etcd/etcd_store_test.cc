// The promises of store.h, kept in a real etcd, and what only a shared store can get wrong.
#include "controlplane/etcd/etcd_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/certificates.h"
#include "tests/support/etcd_cluster.h"
#include "tests/unit/controlplane/store/store_test.h"

namespace whence::etcd {
namespace {

using store::CommitRequest;
using store::LargeSet;
using store::Mesh;
using store::Numbers;
using store::Policy;
using store::Put;
using store::Store;
using ::testing::HasSubstr;
using ::testing::SizeIs;

EtcdCluster* cluster;  // main's
const SystemClock kClock;

std::unique_ptr<Client> Connect(const std::string& prefix, Patience patience = {}) {
  auto client = Client::Make(cluster->options(prefix), patience);
  EXPECT_TRUE(client.ok()) << client.status();
  return *std::move(client);
}

std::string NewPrefix() {
  static int next = 0;
  return "/test-" + std::to_string(++next) + "/";
}

class EtcdBackend final : public store::Backend {
 public:
  std::unique_ptr<Store> Open() override {
    auto store = EtcdStore::Open(*client_, kClock);
    if (!store.ok()) throw std::runtime_error(std::string(store.status().message()));
    return *std::move(store);
  }

 private:
  std::unique_ptr<Client> client_ = Connect(NewPrefix());
};

class EtcdStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<EtcdStore> Open() {
    auto store = EtcdStore::Open(*client_, kClock);
    if (!store.ok()) throw std::runtime_error(std::string(store.status().message()));
    return *std::move(store);
  }
  std::vector<mvccpb::KeyValue> All(const std::string& below) {
    etcdserverpb::RangeRequest request;
    request.set_key(client_->Key(below));
    request.set_range_end(EndOf(client_->Key(below)));
    auto found = client_->Range(request);
    EXPECT_TRUE(found.ok()) << found.status();
    return {found->kvs().begin(), found->kvs().end()};
  }
  void Write(const std::string& key, const std::string& value) {
    etcdserverpb::TxnRequest txn;
    etcd::Put(key, value, &txn);
    ASSERT_TRUE(client_->Txn(txn).ok());
  }

  std::unique_ptr<Client> client_ = Connect(NewPrefix());
};

TEST_F(EtcdStoreTest, TwoEditorsOfOneRevisionConflict) {
  auto one = Open(), other = Open();
  ASSERT_EQ(one->Commit(Put({Mesh("x")}))->revision, 1u);
  CommitRequest first = Put({Policy("a", "10.0.0.0/8")}), second = Put({Policy("a", "11.0.0.0/8")});
  first.expected_revision = second.expected_revision = 1;
  EXPECT_EQ(other->Commit(first)->revision, 2u);
  auto refused = one->Commit(second);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("at revision 2, not 1"));
  EXPECT_EQ(one->Load()->documents[0].document().SerializeAsString(),
            Policy("a", "10.0.0.0/8").SerializeAsString());
}

// Every commit is on no condition, from many at once, and some are so large that they are written
// ahead: all are there in the end, each in a revision of its own, and nothing else.
TEST_F(EtcdStoreTest, NoneOfManyEditorsLosesAnything) {
  constexpr int kEditors = 3, kCommits = 12;
  std::vector<std::thread> editors;
  for (int editor = 0; editor < kEditors; ++editor) {
    editors.emplace_back([this, editor] {
      auto store = Open();
      for (int i = 0; i < kCommits; ++i) {
        v1::Document document =
            Policy("p" + std::to_string(editor) + "-" + std::to_string(i), "::/0");
        (*document.mutable_metadata()->mutable_annotations())["note"] =
            std::string(i % 3 == 0 ? 2 * kPieceBytes : 10, 'x');
        while (true) {
          auto done = store->Commit(Put({document}));
          if (done.ok()) break;
          ASSERT_EQ(done.status().code(), absl::StatusCode::kAborted) << done.status();
        }
      }
    });
  }
  for (std::thread& editor : editors) editor.join();
  auto store = Open();
  EXPECT_EQ(*store->LatestRevision(), uint64_t{kEditors * kCommits});
  EXPECT_THAT(store->Load()->documents, SizeIs(kEditors * kCommits));
  EXPECT_THAT(*store->History(1000, 0), SizeIs(kEditors * kCommits));
  EXPECT_THAT(All("pending/"), SizeIs(0));
  std::set<std::string> packs, committed;
  for (const auto& kv : All("pack/")) {
    packs.insert(kv.key().substr(0, kv.key().rfind('/')));
  }
  for (const auto& kv : All("revision/")) {
    v1::RevisionRecord record;
    ASSERT_TRUE(record.ParseFromString(kv.value()));
    committed.insert(client_->Key("pack/" + record.manifest().pack()));
  }
  EXPECT_EQ(packs, committed);
}

TEST_F(EtcdStoreTest, AnotherStoreFollowsALargeSetByItsDifferences) {
  auto one = Open(), other = Open();
  constexpr uint32_t kCount = 200'000;
  ASSERT_EQ(one->Commit(Put({LargeSet(Numbers(0, kCount))}))->revision, 1u);
  EXPECT_THAT(All("pending/"), SizeIs(0));
  ASSERT_THAT(other->Load()->documents, SizeIs(1));
  size_t before = 0, after = 0;
  for (const auto& kv : All("pack/")) before += kv.value().size();
  net::PackedCidrs content = net::Union(Numbers(3, kCount - 3), Numbers(1 << 20, 5));
  ASSERT_EQ(one->Commit(Put({LargeSet(content)}))->revision, 2u);
  for (const auto& kv : All("pack/")) after += kv.value().size();
  EXPECT_GT(before, kCount * net::kV4Record);
  EXPECT_LT(after - before, 2000u);
  EXPECT_EQ(other->Load()->documents[0].document().SerializeAsString(),
            LargeSet(content).SerializeAsString());
}

TEST_F(EtcdStoreTest, WhatADeadWriterLeftIsSweptAndItCannotCommitIt) {
  const WallTime old = kClock.Now() - std::chrono::hours(1);
  PackWriter dead(1), alive(1);
  for (PackWriter* writer : {&dead, &alive}) writer->Add(std::string(3 * kPieceBytes, 'x'));
  ASSERT_TRUE(dead.WriteAhead(*client_, old).ok());
  ASSERT_TRUE(alive.WriteAhead(*client_, kClock.Now()).ok());
  EXPECT_THAT(All("pack/"), SizeIs(6));
  auto store = Open();  // sweeps
  EXPECT_THAT(All("pending/"), SizeIs(1));
  EXPECT_THAT(All("pack/"), SizeIs(3));
  for (PackWriter* writer : {&dead, &alive}) {
    etcdserverpb::TxnRequest commit;
    writer->Settle(*client_, &commit);
    EXPECT_EQ(client_->Txn(commit)->succeeded(), writer == &alive);
  }
  EXPECT_THAT(All("pack/"), SizeIs(3));
}

TEST_F(EtcdStoreTest, ADamagedPieceIsNotServed) {
  ASSERT_TRUE(Open()->Commit(Put({Policy("a", "10.0.0.0/8")})).ok());
  const mvccpb::KeyValue piece = All("pack/")[0];
  std::string bytes = piece.value();
  bytes[bytes.find("10.0.0.0/8") + 1] = '1';
  Write(piece.key(), bytes);
  EXPECT_EQ(Open()->Load().status().code(), absl::StatusCode::kDataLoss);
  etcdserverpb::TxnRequest txn;
  Delete(piece.key(), &txn);
  ASSERT_TRUE(client_->Txn(txn).ok());
  EXPECT_EQ(Open()->Load().status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(EtcdStoreTest, AnEmptiedEtcdIsNotTakenForAnEmptyConfiguration) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Mesh("x")})).ok());
  etcdserverpb::TxnRequest txn;
  DeleteAllBelow(client_->Key(""), &txn);
  ASSERT_TRUE(client_->Txn(txn).ok());
  EXPECT_EQ(store->Load().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store->Commit(Put({Mesh("y")})).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(EtcdStoreTest, WhatANewerProgramWroteIsLeftAlone) {
  v1::Head head;
  head.set_revision(5);
  head.set_format(2);
  Write(client_->Key("live/head"), head.SerializeAsString());
  EXPECT_EQ(EtcdStore::Open(*client_, kClock).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(EtcdStoreTest, AStoppedEtcdFailsCallsInBoundedTimeAndIsUsedAgainWhenItIsBack) {
  const std::string prefix = NewPrefix();
  using std::chrono::milliseconds;
  auto client = Connect(prefix, {milliseconds(150), milliseconds(400)});
  auto store = *EtcdStore::Open(*client, kClock);
  ASSERT_EQ(store->Commit(Put({Mesh("x")}))->revision, 1u);
  cluster->Signal(0, SIGSTOP);
  const auto begin = kClock.SteadyNow();
  auto failed = store->Commit(Put({Mesh("y")}));
  const auto took = kClock.SteadyNow() - begin;
  cluster->Signal(0, SIGCONT);
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("etcd does not answer"));
  EXPECT_LT(took, std::chrono::seconds(3));
  auto patient = Connect(prefix);
  auto again = *EtcdStore::Open(*patient, kClock);
  auto done = again->Commit(Put({Mesh("z")}));
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(again->Load()->documents[0].document().mesh().root_namespace(), "z");
}

TEST_F(EtcdStoreTest, ManyAskForOneValueAndGetTheFirst) {
  EXPECT_EQ(*ReadOrWrite(*client_, "secret", "mine"), "mine");
  EXPECT_EQ(*ReadOrWrite(*client_, "secret", "yours"), "mine");
}

TEST_F(EtcdStoreTest, SpeaksTlsWithAnEtcdThatAsksForCertificates) {
  std::string pattern = (std::filesystem::temp_directory_path() / "whence-tls-XXXXXX").string();
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  std::filesystem::create_directory(pattern + "/other");
  TestAuthority authority(pattern), other(pattern + "/other");
  authority.Replace("ca.crt", authority.certificate());
  other.Replace("ca.crt", other.certificate());
  authority.Write("one", authority.Issue(security::Kind::kControlPlane, "one"));
  EtcdCluster secured(
      1, EtcdCluster::Tls{pattern + "/ca.crt", pattern + "/one.crt", pattern + "/one.key"});
  struct Row {
    const char* name;
    std::string ca, certificate, key;
    bool works;
  };
  const Row rows[] = {
      {"both sides", "/ca.crt", "/one.crt", "/one.key", true},
      {"no certificate", "/ca.crt", "", "", false},
      {"another CA", "/other/ca.crt", "/one.crt", "/one.key", false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Options options = secured.options("/x/");
    options.ca = pattern + row.ca;
    if (!row.certificate.empty()) options.certificate = pattern + row.certificate;
    if (!row.key.empty()) options.key = pattern + row.key;
    const std::chrono::milliseconds whole(row.works ? 20'000 : 1000);
    auto client = Client::Make(options, {whole, whole});
    ASSERT_TRUE(client.ok()) << client.status();
    auto store = EtcdStore::Open(**client, kClock);
    ASSERT_EQ(store.ok(), row.works) << store.status();
    if (!row.works) continue;
    EXPECT_EQ((*store)->Commit(Put({Mesh("x")}))->revision, 1u);
  }
  Options plain = secured.options("/x/");
  plain.endpoints[0].is_tls = false;
  auto client = *Client::Make(plain, {std::chrono::seconds(1), std::chrono::seconds(1)});
  EXPECT_FALSE(EtcdStore::Open(*client, kClock).ok());
  plain.ca = pattern + "/missing.crt";
  EXPECT_THAT(std::string(Client::Make(plain).status().message()), HasSubstr("missing.crt"));
  std::filesystem::remove_all(pattern);
}

}  // namespace
}  // namespace whence::etcd

namespace whence::store {
INSTANTIATE_TEST_SUITE_P(Etcd, StoreTest,
                         ::testing::Values(BackendFactory{
                             "etcd", [] { return std::make_unique<etcd::EtcdBackend>(); }}));
}  // namespace whence::store

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (whence::EtcdCluster::Program().empty()) return whence::EtcdCluster::Skip();
  whence::EtcdCluster one(1);
  whence::etcd::cluster = &one;
  return RUN_ALL_TESTS();
}
