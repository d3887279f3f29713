// The promises of store.h, kept by the SQLite file: under refusals, failing writes and SIGKILL.
#include "controlplane/store/sqlite_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/controlplane/store/store_test.h"

namespace whence::store {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class SqliteStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-store-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = (directory_ / "config.db").string();
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<SqliteStore> Open() {
    auto store = SqliteStore::Open(path_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? std::move(*store) : nullptr;
  }

  std::filesystem::path directory_;
  std::string path_;
};

class SqliteBackend final : public Backend {
 public:
  SqliteBackend() {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-store-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    directory_ = pattern;
  }
  ~SqliteBackend() override { std::filesystem::remove_all(directory_); }
  std::unique_ptr<Store> Open() override { return *SqliteStore::Open(directory_ + "/config.db"); }

 private:
  std::string directory_;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreTest,
                         ::testing::Values(BackendFactory{
                             "sqlite", [] { return std::make_unique<SqliteBackend>(); }}));

// A file as the first version of the program left it.
TEST_F(SqliteStoreTest, OpensAFileOfTheFirstSchemaAndGoesOn) {
  {
    auto database = Database::Open(path_);
    ASSERT_TRUE(database.ok()) << database.status();
    constexpr Sql kFirst[] = {R"sql(
      create table revision (revision integer primary key, time_us integer not null,
        author text not null, message text not null);
      create table change (revision integer not null references revision(revision),
        kind text not null, namespace text not null, name text not null, action text not null,
        old_revision integer, document blob, unique (kind, namespace, name, revision));
      create index change_by_revision on change(revision);
      create table document (kind text not null, namespace text not null, name text not null,
        revision integer not null, primary key (kind, namespace, name)) without rowid;
    )sql"};
    ASSERT_TRUE(Migrate(**database, 0x77686e63, kFirst).ok());
    ASSERT_TRUE((*database)
                    ->Execute("insert into revision values (7, 1700000000000001, 'ana', 'old')",
                              "write a revision")
                    .ok());
    auto change = (*database)->Prepare(
        "insert into change values (7, 'IpPolicy', 'demo', 'a', 'created', null, ?1)", "write");
    const std::string bytes = Policy("a", "10.0.0.0/8").SerializeAsString();
    ASSERT_TRUE(change->Run(Blob{bytes}).ok());
    ASSERT_TRUE((*database)
                    ->Execute("insert into document values ('IpPolicy', 'demo', 'a', 7)", "write")
                    .ok());
  }
  auto store = Open();
  ASSERT_NE(store, nullptr);
  EXPECT_EQ(store->Load()->documents[0].document().SerializeAsString(),
            Policy("a", "10.0.0.0/8").SerializeAsString());
  EXPECT_FALSE(store->Load()->documents[0].author_verified());
  EXPECT_EQ(store->Commit(Put({Policy("a", "11.0.0.0/8")}))->revision, 8u);
  auto history = store->History(5, 0);
  ASSERT_THAT(*history, SizeIs(2));
  EXPECT_EQ((*history)[1].message, "old");
  EXPECT_EQ((*history)[1].changes[0].kind(), "IpPolicy");  // how it was written is not known
  EXPECT_EQ((*history)[0].changes[0].kind(), "AuthorizationPolicy");
  EXPECT_EQ(store->LoadAt(7)->documents[0].revision(), 7u);
}

// A file size limit is the disk that is full, without a disk.
TEST_F(SqliteStoreTest, AFailedWriteChangesNothingAndIsOverWhenThereIsSpace) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({Mesh("before")})).ok());
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = old;
  small.rlim_cur = 200'000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto failed = store->Commit(Put({Mesh(std::string(1'000'000, 'x'))}));
  auto contents = store->Load();
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);

  EXPECT_FALSE(failed.ok());
  EXPECT_THAT(std::string(failed.status().message()), HasSubstr("config.db: cannot "));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->revision, 1u);
  EXPECT_EQ(contents->documents[0].document().mesh().root_namespace(), "before");
  auto next = store->Commit(Put({Mesh("after")}));
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->revision, 2u);
}

TEST_F(SqliteStoreTest, RefusesADamagedFileAndLeavesItAlone) {
  {
    auto store = Open();
    for (int i = 0; i < 200; ++i) {
      ASSERT_TRUE(store->Commit(Put({Policy("p" + std::to_string(i), "10.0.0.0/8")})).ok());
    }
  }
  auto size = std::filesystem::file_size(path_);
  ASSERT_GT(size, 20'000u);
  std::string garbage(4096, '\xa5');
  {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    for (std::streamoff offset = 4096; offset + 4096 <= 20'480; offset += 4096) {
      file.seekp(offset).write(garbage.data(), static_cast<std::streamsize>(garbage.size()));
    }
  }
  auto store = SqliteStore::Open(path_);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
  EXPECT_EQ(std::filesystem::file_size(path_), size);
}

// Commits for ever, and writes each revision to `fd` once it was acknowledged.
[[noreturn]] void CommitUntilKilled(const std::string& path, int fd) {
  auto store = SqliteStore::Open(path);
  if (!store.ok()) _exit(1);
  uint64_t revision = (*store)->Load()->revision;
  while (true) {
    // Every revision writes the same text into several documents, so that half of one would show.
    std::string text = "10." + std::to_string((revision + 1) % 256) + ".0.0/16";
    auto done = (*store)->Commit(Put({Policy("a", text), Policy("b", text), Policy("c", text)}));
    if (!done.ok()) _exit(2);
    revision = done->revision;
    if (write(fd, &revision, sizeof revision) != sizeof revision) _exit(3);
  }
}

TEST_F(SqliteStoreTest, SurvivesSigkillInTheMiddleOfCommits) {
  uint64_t last_seen = 0;
  for (int round = 0; round < 20; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      CommitUntilKilled(path_, ends[1]);
    }
    close(ends[1]);
    uint64_t acknowledged = 0;
    for (int i = 0; i < 1 + round % 5; ++i) {
      ASSERT_EQ(read(ends[0], &acknowledged, sizeof acknowledged), ssize_t{sizeof acknowledged});
    }
    // Another point of the next commit in each round.
    auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(137) * round;
    while (std::chrono::steady_clock::now() < until) {
    }
    ASSERT_EQ(kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    while (read(ends[0], &acknowledged, sizeof acknowledged) > 0) {
    }
    close(ends[0]);

    auto store = Open();  // checks the file's integrity
    ASSERT_NE(store, nullptr);
    auto contents = store->Load();
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_GE(contents->revision, acknowledged);
    EXPECT_GT(contents->revision, last_seen);
    last_seen = contents->revision;
    ASSERT_THAT(contents->documents, SizeIs(3));
    for (const v1::StoredDocument& stored : contents->documents) {
      EXPECT_EQ(stored.revision(), contents->revision);
      EXPECT_EQ(stored.document().ip_policy().rules(0).from(0).source().ip_blocks(0),
                "10." + std::to_string(contents->revision % 256) + ".0.0/16");
    }
  }
}

// ---- Large sets ----

TEST_F(SqliteStoreTest, KeepsALargeSetOnceAndItsChangesAsDifferences) {
  auto store = Open();
  constexpr uint32_t kCount = 100'000;
  ASSERT_TRUE(store->Commit(Put({LargeSet(Numbers(0, kCount))})).ok());
  const auto before =
      std::filesystem::file_size(path_ + "-wal") + std::filesystem::file_size(path_);
  net::PackedCidrs content;
  for (uint32_t i = 1; i <= 100; ++i) {
    content = net::Union(Numbers(i, kCount - i), Numbers(1 << 20, i));
    ASSERT_TRUE(store->Commit(Put({LargeSet(content)})).ok());
  }
  store.reset();
  // A hundred revisions of half a megabyte each; a whole one after each 64 differences.
  EXPECT_LT(std::filesystem::file_size(path_), before + 3'000'000);
  store = Open();
  const Contents loaded = store->Load().value();
  ASSERT_EQ(loaded.documents.size(), 1u);
  EXPECT_EQ(loaded.documents[0].document().SerializeAsString(),
            LargeSet(content).SerializeAsString());
  // What it was, at any revision.
  const auto differences = store->Differences(50).value();
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_EQ(differences[0].before->ip_set().packed().v4(),
            net::Union(Numbers(48, kCount - 48), Numbers(1 << 20, 48)).v4);
}

TEST_F(SqliteStoreTest, TheSameLargeSetIsUnchangedAndItsReturnCostsNothing) {
  auto store = Open();
  const net::PackedCidrs a = Numbers(0, 50'000), b = Numbers(7, 50'000);
  ASSERT_TRUE(store->Commit(Put({LargeSet(a)})).ok());
  EXPECT_EQ(store->Commit(Put({LargeSet(a)}))->revision, 0u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_NE(store->Commit(Put({LargeSet(b)}))->revision, 0u);
    EXPECT_NE(store->Commit(Put({LargeSet(a)}))->revision, 0u);
  }
  EXPECT_EQ(store->Load()->documents[0].document().ip_set().packed().v4(), a.v4);
  store.reset();
  auto database = *Database::Open(path_);
  EXPECT_EQ(*database->QueryInt("select count(*) from ip_set_content", "count"), 2);
}

TEST_F(SqliteStoreTest, ADamagedContentIsNotServed) {
  auto store = Open();
  ASSERT_TRUE(store->Commit(Put({LargeSet(Numbers(0, 5000))})).ok());
  ASSERT_TRUE(store->Commit(Put({LargeSet(Numbers(1, 5000))})).ok());
  store.reset();
  {
    auto database = *Database::Open(path_);
    ASSERT_TRUE(database
                    ->Execute("update ip_set_content set added_v4 = x'' where base is not null",
                              "damage it")
                    .ok());
  }
  store = Open();
  EXPECT_EQ(store->Load().status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace whence::store
