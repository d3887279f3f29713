#include "dataplane/access_log/spool.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "tests/support/no_descriptors.h"
#include "tests/unit/dataplane/access_log/messages.h"

namespace whence::access_log {
namespace {

constexpr uint64_t kLarge = 1 << 20;
constexpr uint64_t kEndBytes = 8;

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string pattern = testing::TempDir() + "/spool_test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~SpoolTest() override { std::filesystem::remove_all(directory_); }

  std::unique_ptr<Spool> Open(uint64_t max_bytes = kLarge, uint64_t* cut = nullptr) {
    absl::StatusOr<std::unique_ptr<Spool>> spool = Spool::Open(directory_, max_bytes, cut);
    EXPECT_TRUE(spool.ok()) << spool.status();
    return *std::move(spool);
  }

  static v1::IngestBatch Batch(const std::string& boot, uint64_t first_seq, int records,
                               size_t path_bytes = 10) {
    v1::IngestBatch batch;
    batch.set_boot(boot);
    batch.set_first_seq(first_seq);
    for (int i = 0; i < records; ++i) {
      v1::AccessRecord* record = batch.add_records();
      record->set_time_us(static_cast<int64_t>(first_seq) + i);
      record->set_path(std::string(path_bytes, 'p'));
    }
    return batch;
  }

  static std::optional<v1::IngestBatch> Next(Spool& spool, Spool::Position* position) {
    bool failed = true;
    std::optional<EncodedBatch> batch = spool.Next(position, &failed);
    EXPECT_FALSE(failed);
    if (!batch) return std::nullopt;
    return batch->Decode();
  }

  static std::vector<v1::IngestBatch> ReadAll(Spool& spool) {
    std::vector<v1::IngestBatch> batches;
    Spool::Position position;
    while (std::optional<v1::IngestBatch> batch = Next(spool, &position))
      batches.push_back(*std::move(batch));
    return batches;
  }

  void FlipABit(uint64_t offset) const {
    std::FILE* const f = std::fopen(TheOnlyFile().c_str(), "r+");
    std::fseek(f, static_cast<long>(offset), SEEK_SET);
    const int byte = std::fgetc(f);
    std::fseek(f, static_cast<long>(offset), SEEK_SET);
    std::fputc(byte ^ 1, f);
    std::fclose(f);
  }

  std::vector<std::string> Files() const {
    std::vector<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory_))
      files.push_back(entry.path().string());
    return files;
  }
  std::string TheOnlyFile() const { return Files().front(); }

  std::string directory_;
};

TEST_F(SpoolTest, GivesBackAcrossAnOpening) {
  {
    auto spool = Open();
    ASSERT_TRUE(spool->Append(Batch("boot", 1, 3)).ok());
    ASSERT_TRUE(spool->Append(Batch("boot", 4, 2)).ok());
  }
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("later", 1, 1)).ok());
  const std::vector<v1::IngestBatch> batches = ReadAll(*spool);
  ASSERT_EQ(batches.size(), 3u);
  EXPECT_EQ(batches[0].SerializeAsString(), Batch("boot", 1, 3).SerializeAsString());
  EXPECT_EQ(batches[1].first_seq(), 4u);
  EXPECT_EQ(batches[2].boot(), "later") << "earlier boots come first";
}

TEST_F(SpoolTest, ReadsWhatWasAppendedMeanwhile) {
  auto spool = Open();
  Spool::Position position;
  EXPECT_FALSE(Next(*spool, &position).has_value());
  ASSERT_TRUE(spool->Append(Batch("boot", 1, 1)).ok());
  EXPECT_TRUE(Next(*spool, &position).has_value());
  EXPECT_FALSE(Next(*spool, &position).has_value());
  ASSERT_TRUE(spool->Append(Batch("boot", 2, 1)).ok());
  EXPECT_EQ(Next(*spool, &position)->first_seq(), 2u);
}

// Whatever byte a crash stopped at, whole frames before it are kept and nothing else is.
TEST_F(SpoolTest, CutsATornTailAtEveryByte) {
  uint64_t whole = 0;
  {
    auto spool = Open();
    ASSERT_TRUE(spool->Append(Batch("boot", 1, 2)).ok());
    whole = spool->bytes();
    ASSERT_TRUE(spool->Append(Batch("boot", 3, 2)).ok());
  }
  const std::string file = TheOnlyFile();
  const std::string copy = directory_ + ".copy";
  std::filesystem::copy_file(file, copy);
  const uint64_t size = std::filesystem::file_size(copy) - kEndBytes;
  for (uint64_t cut_at = 0; cut_at < size; ++cut_at) {
    std::filesystem::copy_file(copy, file, std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(file, cut_at);
    uint64_t cut = 0;
    auto spool = Open(kLarge, &cut);
    EXPECT_EQ(ReadAll(*spool).size(), cut_at >= whole ? 1u : 0u) << cut_at;
    // The magic is 8 bytes; a file without it is no segment at all.
    const uint64_t kept = cut_at >= whole ? whole : cut_at >= 8 ? 8 : 0;
    EXPECT_EQ(cut, cut_at - kept) << cut_at;
  }
  std::filesystem::remove(copy);
}

TEST_F(SpoolTest, FindsAFlippedBit) {
  {
    auto spool = Open();
    ASSERT_TRUE(spool->Append(Batch("boot", 1, 1)).ok());
    ASSERT_TRUE(spool->Append(Batch("boot", 2, 1)).ok());
  }
  const std::string file = TheOnlyFile();
  {
    std::FILE* const f = std::fopen(file.c_str(), "r+");
    std::fseek(f, -3 - static_cast<long>(kEndBytes), SEEK_END);
    std::fputc(0x7f, f);
    std::fclose(f);
  }
  uint64_t cut = 0;
  auto spool = Open(kLarge, &cut);
  EXPECT_EQ(ReadAll(*spool).size(), 1u);
  EXPECT_GT(cut, 0u);
}

TEST_F(SpoolTest, RemovesWhatIsAcknowledged) {
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("old", 1, 5)).ok());
  ASSERT_TRUE(spool->Append(Batch("new", 1, 5)).ok());
  spool->Acknowledge("old", 4);
  EXPECT_EQ(ReadAll(*spool).size(), 2u) << "not all of it";
  spool->Acknowledge("old", 5);
  ASSERT_EQ(ReadAll(*spool).size(), 1u);
  EXPECT_EQ(ReadAll(*spool)[0].boot(), "new");
  spool->Acknowledge("new", 5);
  EXPECT_TRUE(spool->empty());
  EXPECT_EQ(spool->bytes(), 0u);
  ASSERT_TRUE(spool->Append(Batch("new", 6, 1)).ok()) << "and goes on";
  EXPECT_EQ(ReadAll(*spool).size(), 1u);
}

TEST_F(SpoolTest, WritesAgainIntoTheFileOfWhichAllIsAcknowledged) {
  auto spool = Open();
  Spool::Position position;
  std::string file;
  for (uint64_t seq = 1; seq <= 50; seq += 5) {
    EXPECT_TRUE(spool->AtEnd(position));
    ASSERT_TRUE(spool->Append(Batch("b", seq, 5)).ok());
    EXPECT_FALSE(spool->AtEnd(position));
    if (file.empty()) file = TheOnlyFile();
    EXPECT_EQ(TheOnlyFile(), file);
    // A reader that stood behind the content before finds what stands there now.
    std::optional<v1::IngestBatch> batch = Next(*spool, &position);
    ASSERT_TRUE(batch);
    EXPECT_EQ(batch->first_seq(), seq);
    EXPECT_FALSE(Next(*spool, &position));
    EXPECT_EQ(spool->LastSeq("b"), seq + 4);
    spool->Acknowledge("b", seq + 4);
    EXPECT_TRUE(spool->empty());
    EXPECT_EQ(spool->bytes(), 0u);
    EXPECT_EQ(spool->LastSeq("b"), std::nullopt);
  }
  // Killed here: the next one finds nothing, and tidies up.
  std::filesystem::copy(file, file + ".kept");
  spool.reset();
  EXPECT_FALSE(std::filesystem::exists(file));
  std::filesystem::rename(file + ".kept", file);
  spool = Open();
  EXPECT_TRUE(ReadAll(*spool).empty());
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

// The file keeps what was in it before; a kill at any byte of the next write must not bring it
// back.
TEST_F(SpoolTest, DoesNotTakeTheRemainsOfAnEarlierUseForRecords) {
  const auto content = [this] {
    std::ifstream file(TheOnlyFile(), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  std::string before, after;
  uint64_t whole = 0;
  {
    auto spool = Open();
    // Frames of one size: the old ones' beginnings are where a new one's end is.
    for (uint64_t seq : {1, 3, 5}) ASSERT_TRUE(spool->Append(Batch("b", seq, 2)).ok());
    spool->Acknowledge("b", 6);
    before = content();
    ASSERT_TRUE(spool->Append(Batch("b", 7, 2)).ok());
    whole = spool->bytes();
    after = content();
    EXPECT_EQ(ReadAll(*spool).size(), 1u);
  }
  ASSERT_EQ(before.size(), after.size());
  for (const std::string& file : Files()) std::filesystem::remove(file);
  for (size_t written = 8; written <= after.size(); ++written) {
    const std::string file = after.substr(0, written) + before.substr(written);
    const bool is_whole = file.starts_with(after.substr(0, whole));
    std::ofstream(directory_ + "/spool-0000000000000001", std::ios::binary) << file;
    uint64_t cut = 0;
    auto spool = Open(kLarge, &cut);
    const std::vector<v1::IngestBatch> batches = ReadAll(*spool);
    ASSERT_EQ(batches.size(), is_whole ? 1u : 0u) << written;
    EXPECT_TRUE(batches.empty() || batches[0].first_seq() == 7);
    EXPECT_TRUE(cut == 0 || written < whole + kEndBytes) << written;
    EXPECT_LE(cut, whole) << "not what was acknowledged";
    spool.reset();
    for (const std::string& name : Files()) std::filesystem::remove(name);
  }
}

TEST_F(SpoolTest, GivesALargeFileBack) {
  auto spool = Open(16 << 20);
  ASSERT_TRUE(spool->Append(Batch("b", 1, 20, 100'000)).ok());
  const std::string file = TheOnlyFile();
  ASSERT_GT(std::filesystem::file_size(file), 1u << 20);
  spool->Acknowledge("b", 20);
  EXPECT_EQ(TheOnlyFile(), file);
  EXPECT_LE(std::filesystem::file_size(file), 8u);
  ASSERT_TRUE(spool->Append(Batch("b", 21, 1)).ok());
  EXPECT_EQ(ReadAll(*spool).size(), 1u);
}

TEST_F(SpoolTest, DoesNotWriteIntoAFileThatSomebodyRemoved) {
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("b", 1, 5)).ok());
  std::filesystem::remove(TheOnlyFile());
  spool->Acknowledge("b", 5);
  ASSERT_TRUE(spool->Append(Batch("b", 6, 5)).ok());
  spool.reset();
  EXPECT_EQ(ReadAll(*Open()).size(), 1u);
}

// What is stored plus what gaps stand for is what was written, however far the spool overflowed.
TEST_F(SpoolTest, TurnsOverflowIntoOneGapThatCounts) {
  constexpr uint64_t kBound = 64 << 10;
  constexpr int kPerBatch = 7;
  auto spool = Open(kBound);
  uint64_t written = 0;
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(spool->Append(Batch("boot", written + 1, kPerBatch, 100)).ok());
    written += kPerBatch;
    ASSERT_LE(spool->bytes(), kBound);
  }
  for (const bool reopened : {false, true}) {
    if (reopened) spool = Open(kBound);
    const std::vector<v1::IngestBatch> batches = ReadAll(*spool);
    uint64_t stored = 0;
    uint64_t lost = 0;
    int gaps = 0;
    uint64_t next = 0;
    for (const v1::IngestBatch& batch : batches) {
      EXPECT_TRUE(next == 0 || batch.first_seq() == next) << "no hole but the gap";
      next = batch.first_seq() + static_cast<uint64_t>(batch.records_size());
      for (const v1::AccessRecord& record : batch.records()) {
        if (record.dropped() > 0) {
          ++gaps;
          lost += record.dropped();
          EXPECT_EQ(batch.first_seq(), lost)
              << "the gap stands under the number of the last record lost";
        } else {
          ++stored;
        }
      }
    }
    EXPECT_EQ(gaps, 1);
    EXPECT_GT(stored, 0u);
    EXPECT_EQ(stored + lost, written) << "reopened: " << reopened;
  }
}

TEST_F(SpoolTest, KeepsAGapPerBoot) {
  auto spool = Open(64 << 10);
  std::map<std::string, uint64_t> written;
  for (const std::string boot : {"one", "two"}) {
    for (int i = 0; i < 400; ++i) {
      ASSERT_TRUE(spool->Append(Batch(boot, written[boot] + 1, 3, 100)).ok());
      written[boot] += 3;
    }
  }
  std::map<std::string, uint64_t> counted;
  for (const v1::IngestBatch& batch : ReadAll(*spool)) {
    for (const v1::AccessRecord& record : batch.records())
      counted[batch.boot()] += AccessesIn(record);
  }
  EXPECT_EQ(counted, written);
}

TEST_F(SpoolTest, AReaderSeesTheGapThatReplacedWhatItWasReading) {
  auto spool = Open(64 << 10);
  uint64_t written = 0;
  const auto append = [&] {
    ASSERT_TRUE(spool->Append(Batch("boot", written + 1, 5, 100)).ok());
    written += 5;
  };
  for (int i = 0; i < 5; ++i) append();
  Spool::Position position;
  uint64_t read = 0;
  for (int i = 0; i < 2; ++i)
    read += static_cast<uint64_t>(Next(*spool, &position)->records_size());
  while (spool->dropped() == 0) append();
  const std::optional<v1::IngestBatch> next = Next(*spool, &position);
  ASSERT_TRUE(next.has_value());
  EXPECT_GT(next->records(0).dropped(), 0u);
  EXPECT_GT(next->first_seq(), read);
}

TEST_F(SpoolTest, AShortageIsNotDamage) {
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("boot", 1, 2)).ok());
  ASSERT_TRUE(spool->Append(Batch("boot", 3, 2)).ok());
  Spool::Position position;
  EXPECT_EQ(Next(*spool, &position)->first_seq(), 1u);
  bool failed = false;
  {
    const NoDescriptors shortage;
    EXPECT_FALSE(spool->Next(&position, &failed).has_value());
  }
  EXPECT_TRUE(failed);
  EXPECT_EQ(Next(*spool, &position)->first_seq(), 3u) << "where it stood";
  EXPECT_EQ(spool->dropped(), 0u);
}

TEST_F(SpoolTest, CountsWhatStandsBehindDamage) {
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("boot", 1, 2)).ok());
  const uint64_t second = spool->bytes();
  ASSERT_TRUE(spool->Append(Batch("boot", 3, 2)).ok());
  ASSERT_TRUE(spool->Append(Batch("boot", 5, 3)).ok());
  FlipABit(second + 10);
  std::vector<v1::IngestBatch> batches = ReadAll(*spool);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].first_seq(), 1u);
  EXPECT_EQ(batches[1].boot(), "boot");
  EXPECT_EQ(batches[1].first_seq(), 7u) << "the last that was lost";
  ASSERT_EQ(batches[1].records_size(), 1);
  EXPECT_EQ(batches[1].records(0).dropped(), 5u);
  EXPECT_EQ(spool->dropped(), 5u);

  ASSERT_TRUE(spool->Append(Batch("boot", 8, 1)).ok());
  const std::vector<v1::IngestBatch> again = ReadAll(*spool);
  ASSERT_EQ(again.size(), 3u);
  EXPECT_EQ(again[1].SerializeAsString(), batches[1].SerializeAsString()) << "a duplicate";
  EXPECT_EQ(again[2].first_seq(), 8u) << "not hidden behind the damage";
  EXPECT_EQ(spool->dropped(), 5u) << "counted once";
}

TEST_F(SpoolTest, CountsASegmentThatIsGone) {
  auto spool = Open();
  ASSERT_TRUE(spool->Append(Batch("boot", 1, 4)).ok());
  std::filesystem::remove(TheOnlyFile());
  const std::vector<v1::IngestBatch> batches = ReadAll(*spool);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].first_seq(), 4u);
  EXPECT_EQ(batches[0].records(0).dropped(), 4u);
}

}  // namespace
}  // namespace whence::access_log
