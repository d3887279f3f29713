#include "controlplane/store/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace whence::store {
namespace {

using ::testing::HasSubstr;

constexpr uint32_t kApplication = 0x77686e63;

class DatabaseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-db-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string Path(const char* name) const { return (directory_ / name).string(); }
  std::unique_ptr<Database> Open(const char* name) {
    auto database = Database::Open(Path(name));
    EXPECT_TRUE(database.ok()) << database.status();
    return std::move(*database);
  }

  std::filesystem::path directory_;
};

TEST_F(DatabaseTest, BindsTextAndBlobsExactly) {
  auto db = Open("a.db");
  ASSERT_TRUE(db->Execute("create table t(a text, b blob, c)", "create").ok());
  std::string hostile("'; drop table t; --\0\xff\xe2\x80\xae", 24);
  auto insert = db->Prepare("insert into t values (?1, ?2, ?3)", "insert");
  ASSERT_TRUE(insert.ok());
  ASSERT_TRUE(insert->Run(std::string_view(hostile), Blob{hostile}, nullptr).ok());
  ASSERT_TRUE(insert->Run(std::string_view(), Blob{}, std::optional<int64_t>(-5)).ok());

  auto select = db->Prepare("select a, b, c from t order by rowid", "select");
  ASSERT_TRUE(select.ok());
  ASSERT_TRUE(*select->Step());
  EXPECT_EQ(select->Text(0), hostile);
  EXPECT_EQ(select->Text(1), hostile);
  EXPECT_TRUE(select->IsNull(2));
  ASSERT_TRUE(*select->Step());
  EXPECT_FALSE(select->IsNull(0));
  EXPECT_FALSE(select->IsNull(1));
  EXPECT_EQ(select->Int(2), -5);
  EXPECT_FALSE(*select->Step());
}

TEST_F(DatabaseTest, RollsBackWhatIsNotCommitted) {
  auto db = Open("a.db");
  ASSERT_TRUE(db->Execute("create table t(a)", "create").ok());
  {
    auto transaction = Transaction::Begin(*db);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(db->Execute("insert into t values (1)", "insert").ok());
  }
  EXPECT_EQ(*db->QueryInt("select count(*) from t", "count"), 0);
  auto transaction = Transaction::Begin(*db);
  ASSERT_TRUE(db->Execute("insert into t values (1)", "insert").ok());
  ASSERT_TRUE(transaction->Commit().ok());
  EXPECT_EQ(*db->QueryInt("select count(*) from t", "count"), 1);
}

TEST_F(DatabaseTest, NamesTheFileAndThePurposeInErrors) {
  auto db = Open("a.db");
  auto status = db->Execute("insert into missing values (1)", "remember a thing");
  EXPECT_THAT(std::string(status.message()), HasSubstr("a.db: cannot remember a thing: no such"));
}

TEST_F(DatabaseTest, RefusesAFileThatIsNoDatabaseAndLeavesItAlone) {
  std::string text(5000, 'x');
  std::ofstream(Path("a.db")) << text;
  auto db = Database::Open(Path("a.db"));
  EXPECT_EQ(db.status().code(), absl::StatusCode::kDataLoss) << db.status();
  std::ifstream file(Path("a.db"));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
}

TEST_F(DatabaseTest, MigratesOnceAndRefusesANewerSchema) {
  constexpr Sql kOne[] = {"create table t(a); insert into t values (1)"};
  constexpr Sql kTwo[] = {kOne[0], "alter table t add column b; update t set b = 2"};
  auto db = Open("a.db");
  ASSERT_TRUE(Migrate(*db, kApplication, kOne).ok());
  ASSERT_TRUE(Migrate(*db, kApplication, kTwo).ok());
  ASSERT_TRUE(Migrate(*db, kApplication, kTwo).ok());
  EXPECT_EQ(*db->QueryInt("select sum(a * 10 + b) from t", "sum"), 12);
  auto older = Migrate(*db, kApplication, kOne);
  EXPECT_EQ(older.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(older.message()), HasSubstr("newer"));
}

TEST_F(DatabaseTest, RefusesTheDatabaseOfAnotherProgram) {
  constexpr Sql kOne[] = {"create table u(a)"};
  auto db = Open("a.db");
  ASSERT_TRUE(db->Execute("create table t(a)", "create").ok());
  auto status = Migrate(*db, kApplication, kOne);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
  EXPECT_EQ(*db->QueryInt("select count(*) from sqlite_schema", "count"), 1);
}

TEST_F(DatabaseTest, AFailedMigrationLeavesTheOldSchema) {
  constexpr Sql kBad[] = {"create table t(a)", "create table t(a)"};
  auto db = Open("a.db");
  EXPECT_FALSE(Migrate(*db, kApplication, kBad).ok());
  EXPECT_EQ(*db->QueryInt("select count(*) from sqlite_schema", "count"), 0);
  EXPECT_EQ(*db->QueryInt("pragma user_version", "version"), 0);
}

TEST_F(DatabaseTest, ComposesNumberedTables) {
  auto db = Open("a.db");
  ASSERT_TRUE(db->Execute(ComposedSql("create table seg_", 7).Append("(a)"), "create").ok());
  EXPECT_TRUE(db->Execute("insert into seg_7 values (1)", "insert").ok());
}

}  // namespace
}  // namespace whence::store
