// `whencectl logs` against the whole control plane: records go in as an agent sends them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <ostream>
#include <sstream>
#include <streambuf>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/unit/controlplane/ctl/plane_fixture.h"

namespace whence::ctl {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// Text that another thread writes and we wait for.
class WatchedBuffer final : public std::streambuf {
 public:
  void WaitFor(const std::string& text) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(changed_.wait_for(lock, std::chrono::seconds(20), [&] {
      return text_.find(text) != std::string::npos;
    })) << text_;
  }

 protected:
  int overflow(int c) override {
    std::lock_guard lock(mutex_);
    text_ += static_cast<char>(c);
    changed_.notify_all();
    return c;
  }
  std::streamsize xsputn(const char* data, std::streamsize size) override {
    std::lock_guard lock(mutex_);
    text_.append(data, static_cast<size_t>(size));
    changed_.notify_all();
    return size;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

class LogsCommandTest : public PlaneFixture {
 protected:
  static v1::AccessRecord Record(uint8_t last_octet, v1::Decision decision) {
    v1::AccessRecord record;
    record.set_time_us(std::chrono::duration_cast<std::chrono::microseconds>(
                           std::chrono::system_clock::now().time_since_epoch())
                           .count());
    record.set_protocol("http/1.1");
    std::string address("\0\0\0\0\0\0\0\0\0\0\xff\xff\x02\x02\x02", 15);
    record.set_client_address(address + static_cast<char>(last_octet));
    record.set_direct_peer(std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01", 16));
    record.set_client_reason("xff-hop-2");
    record.set_method("GET");
    record.set_host("shop.example");
    record.set_path("/\x1b[2J" + std::to_string(last_octet));
    record.set_decision(decision);
    record.set_status(decision == v1::ALLOW_DECISION ? 200 : 403);
    return record;
  }

  CommandLine Line(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "logs");
    return Parse(Addressed(std::move(arguments)));
  }

  std::string Logs(std::vector<std::string> arguments) {
    CommandLine line = Line(std::move(arguments));
    EXPECT_TRUE(line.options) << line.error;
    std::istringstream in;
    std::ostringstream out, err;
    EXPECT_EQ(ctl::Run(*line.options, in, out, err), kGood) << err.str();
    return out.str();
  }

  // The same for what may fail, and for other commands than logs.
  int Run(std::vector<std::string> arguments, std::string* out, std::string* err) {
    return Type(Addressed(std::move(arguments)), "", out, err);
  }
  // Files that an export left beside its own.
  int Unfinished() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      count += entry.path().filename().string().find(".part") != std::string::npos;
    }
    return count;
  }
  static std::string ReadFile(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
};

TEST_F(LogsCommandTest, FiltersAndPrintsTheNewestLast) {
  Ingest(1, {Record(1, v1::ALLOW_DECISION), Record(2, v1::DENY_DECISION),
             Record(200, v1::DENY_DECISION)});
  std::string all = Logs({});
  EXPECT_THAT(all, HasSubstr("TIME"));
  EXPECT_LT(all.find("2.2.2.1 "), all.find("2.2.2.200 "));
  EXPECT_THAT(all, HasSubstr("/\\x1b[2J200"));
  EXPECT_EQ(all.find('\x1b'), std::string::npos);
  EXPECT_THAT(Logs({"--client", "2.2.2.128/25"}), Not(HasSubstr("2.2.2.2 ")));
  EXPECT_THAT(Logs({"--client", "2.2.2.128/25"}), HasSubstr("2.2.2.200 "));
  EXPECT_THAT(Logs({"--decision", "allow"}), Not(HasSubstr("deny")));
  EXPECT_THAT(Logs({"--peer", "10.0.0.1", "--workload", "shop/web", "--since", "1h"}),
              HasSubstr("2.2.2.1 "));
  EXPECT_EQ(Logs({"--peer", "11.0.0.0/8"}), "");
  std::string json = Logs({"--limit", "1", "-o", "json"});
  EXPECT_THAT(json, HasSubstr("\"client_address\":\"2.2.2.200\""));
  EXPECT_THAT(json, HasSubstr("\"agent\":\"shop/web\""));
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1);
}

TEST_F(LogsCommandTest, LimitsAFollowerOnlyWhenAsked) {
  EXPECT_EQ(std::get<LogsOptions>(Line({"-f"}).options->command).selection.query.limit(), 0u);
  EXPECT_EQ(
      std::get<LogsOptions>(Line({"-f", "--limit", "5"}).options->command).selection.query.limit(),
      5u);
  EXPECT_EQ(std::get<LogsOptions>(Line({}).options->command).selection.query.limit(), 100u);
  EXPECT_EQ(Line({"--limit", "0"}).exit_code, 2);
}

TEST_F(LogsCommandTest, PagesGoBackToTheBeginning) {
  std::vector<v1::AccessRecord> records;
  for (uint8_t i = 1; i <= 25; ++i) records.push_back(Record(i, v1::ALLOW_DECISION));
  for (v1::AccessRecord& record : records)
    record.set_time_us(1'700'000'000'000'000);  // all at once
  Ingest(1, records);
  std::vector<std::string> arguments = {"logs", "--limit", "10", "-o", "json"};
  int seen = 0;
  int pages = 0;
  std::string before = "26";
  while (true) {
    std::string out, err;
    ASSERT_EQ(Run(arguments, &out, &err), kGood) << err;
    if (out.empty()) break;
    ASSERT_LE(++pages, 3);
    seen += static_cast<int>(std::count(out.begin(), out.end(), '\n'));
    // The oldest is printed first.
    const std::string first = out.substr(out.find("\"id\":") + 5);
    const std::string oldest = first.substr(0, first.find(','));
    EXPECT_LT(std::stoi(oldest), std::stoi(before));
    before = oldest;
    arguments = {"logs", "--limit", "10", "-o", "json", "--before", before};
  }
  EXPECT_EQ(seen, 25);
  std::string out, err;
  EXPECT_EQ(Run({"logs", "--limit", "10"}, &out, &err), kGood);
  EXPECT_THAT(err, HasSubstr("--before 16"));
  EXPECT_EQ(Run({"logs", "--before", "9999"}, &out, &err), kFailed);
  EXPECT_THAT(err, HasSubstr("no record 9999"));
}

TEST_F(LogsCommandTest, FindsByEveryFilter) {
  v1::AccessRecord record = Record(7, v1::DENY_DECISION);
  record.set_request_id("req-7");
  record.set_policy("shop/edge");
  record.set_method("PUT");
  record.set_path("/cart/7?x");
  Ingest(1, {Record(1, v1::ALLOW_DECISION), record, Record(2, v1::ALLOW_DECISION)});
  const std::vector<std::vector<std::string>> finds = {
      {"--request-id", "req-7"}, {"--policy", "shop/edge"}, {"--method", "PUT"},    {"--id", "2"},
      {"--status", "403"},       {"--path", "/cart/"},      {"--client", "2.2.2.7"}};
  for (std::vector<std::string> filter : finds) {
    filter.insert(filter.end(), {"-o", "json"});
    const std::string json = Logs(filter);
    EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 1) << filter[0];
    EXPECT_THAT(json, HasSubstr("\"request_id\":\"req-7\"")) << filter[0];
  }
  EXPECT_EQ(Logs({"--until", "1h"}), "");
  EXPECT_NE(Logs({"--since", "2020-01-01T00:00:00Z", "--until", "2999-01-01T00:00:00+01:00"}), "");
  EXPECT_EQ(Logs({"--since", "2999-01-01T00:00:00Z"}), "");
  EXPECT_EQ(Logs({"--until", "2020-01-01T00:00:00Z"}), "");
  EXPECT_NE(Logs({"--host", "shop.example"}), "");
  EXPECT_EQ(Logs({"--path", "/%"}), "");
  std::string out, err;
  EXPECT_EQ(Run({"logs", "-f", "--before", "3"}, &out, &err), kWrongUsage);
  EXPECT_EQ(Run({"logs", "--deadline", "soon"}, &out, &err), kWrongUsage);
  EXPECT_EQ(Run({"logs", "--since", "2020-01-01"}, &out, &err), kWrongUsage);
  EXPECT_EQ(Run({"logs", "--id", "99"}, &out, &err), kGood);
  EXPECT_EQ(out, "");
  EXPECT_EQ(err, "no record fits\n");
}

TEST_F(LogsCommandTest, ColumnsStandUnderTheirHeadings) {
  v1::AccessRecord wide = Record(1, v1::DRY_RUN_DENY_DECISION);
  wide.set_host("a.very.long.name.of.a.host.in.a.zone.far.away.example");
  wide.set_policy("shop/a-policy-of-quite-some-length");
  v1::AccessRecord gap;
  gap.set_time_us(wide.time_us());
  gap.set_dropped(1'234'567);
  Ingest(1, {wide, gap, Record(2, v1::ALLOW_DECISION)});
  std::istringstream lines(Logs({}));
  std::string line;
  std::getline(lines, line);
  const size_t workload = line.find("WORKLOAD");
  const size_t decision = line.find("DECISION");
  EXPECT_EQ(line.find("CLIENT") + 9, line.find("WHY")) << "what is lost makes no column wider";
  int rows = 0, gaps = 0;
  while (std::getline(lines, line)) {
    if (line.find("1234567 records were lost here, of agent shop/web") != std::string::npos) {
      ++gaps;
      continue;
    }
    ++rows;
    EXPECT_EQ(line.find("shop/web"), workload) << line;
    EXPECT_EQ(line.substr(decision - 2, 2), "  ") << line;
  }
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(gaps, 1);
}

// Fault 53: every byte, and what turns the direction of text, in every field that a stranger fills.
TEST_F(LogsCommandTest, NoByteReachesTheTerminalAndNoneIsLost) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  bytes += "\u202e\u2066\u009b\U000e0041";
  v1::AccessRecord record = Record(1, v1::ALLOW_DECISION);
  for (std::string* field : {record.mutable_path(), record.mutable_host(), record.mutable_method(),
                             record.mutable_forwarded_for(), record.mutable_request_id()}) {
    *field = bytes.substr(0, 256);
  }
  record.set_path(bytes);
  Ingest(1, {record});
  std::string csv, err;
  ASSERT_EQ(Run({"logs", "export", "--format", "csv"}, &csv, &err), kGood) << err;
  const std::string json = Logs({"-o", "json"});
  for (const std::string& text : {Logs({}), json, csv}) {
    for (const char c : text) {
      EXPECT_TRUE(c == '\n' || c == '\r' || static_cast<unsigned char>(c) >= 0x20) << text;
    }
    EXPECT_EQ(text.find('\x7f'), std::string::npos);
    for (const char* turn : {"\u202e", "\u2066", "\u009b", "\U000e0041"}) {
      EXPECT_EQ(text.find(turn), std::string::npos) << text;
    }
  }
  EXPECT_THAT(json, HasSubstr("\"path_base64\":\"" + absl::Base64Escape(bytes) + "\""));
  EXPECT_THAT(json,
              HasSubstr("\"host_base64\":\"" + absl::Base64Escape(bytes.substr(0, 256)) + "\""));
}

TEST_F(LogsCommandTest, ExportsAllOldestFirstOrNothing) {
  std::vector<v1::AccessRecord> records(5000, Record(1, v1::ALLOW_DECISION));
  records[17].set_path("=cmd()");
  records[4999].set_decision(v1::DENY_DECISION);
  Ingest(1, records);
  const std::string file = directory_ + "/all.csv";
  std::string out, err;
  ASSERT_EQ(Run({"logs", "export", "--format", "csv", "-o", file}, &out, &err), kGood) << err;
  EXPECT_EQ(out, "");
  EXPECT_THAT(err, HasSubstr("5000 records"));
  const std::string csv = ReadFile(file);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5001);
  EXPECT_EQ(csv.find("time,agent,"), 0u);
  EXPECT_THAT(csv, HasSubstr(",'=cmd(),"));
  EXPECT_EQ(Unfinished(), 0);
  ASSERT_EQ(Run({"logs", "--decision", "deny", "export", "-o", "-"}, &out, &err), kGood) << err;
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 1);
  EXPECT_THAT(out, HasSubstr("{\"id\":5000,"));
  // What fails leaves no file that looks whole, and what was there stays.
  EXPECT_EQ(Run({"logs", "export", "-o", directory_ + "/no/such/dir.jsonl"}, &out, &err), kFailed);
  EXPECT_THAT(err, HasSubstr("cannot write"));
  plane_.reset();
  EXPECT_EQ(Run({"logs", "export", "-o", file}, &out, &err), kFailed);
  EXPECT_EQ(ReadFile(file), csv);
  EXPECT_EQ(Unfinished(), 0);
}

TEST_F(LogsCommandTest, AnExportReplacesOnlyFilesAndOnlyItsOwnerReadsIt) {
  namespace fs = std::filesystem;
  Ingest(1, {Record(1, v1::ALLOW_DECISION)});
  std::string out, err;
  const auto write = [&](const std::string& file) {
    return Run({"logs", "export", "-o", file}, &out, &err);
  };
  const std::string file = directory_ + "/all.jsonl";
  ASSERT_EQ(write(file), kGood) << err;
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  // A link stays, whether there is a file behind it or not yet.
  fs::create_directory(directory_ + "/there");
  for (const char* name : {"old", "new"}) {
    const std::string target = directory_ + "/there/" + name;
    if (std::string(name) == "old") std::ofstream(target) << "before";
    const std::string link = directory_ + "/link-" + name;
    fs::create_symlink(std::string("there/") + name, link);
    ASSERT_EQ(write(link), kGood) << err;
    EXPECT_TRUE(fs::is_symlink(link));
    EXPECT_THAT(ReadFile(target), HasSubstr("{\"id\":1,"));
  }
  // So does what is no file: a device, or this pipe.
  const std::string pipe = directory_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_EQ(write(pipe), kGood) << err;
  EXPECT_TRUE(fs::is_fifo(pipe));
  std::string read_back(4096, '\0');
  read_back.resize(std::max<ssize_t>(read(reader, read_back.data(), read_back.size()), 0));
  close(reader);
  EXPECT_THAT(read_back, HasSubstr("{\"id\":1,"));
  // Nobody can make it write over a file by guessing the name of the part.
  const std::string victim = directory_ + "/victim";
  std::ofstream(victim) << "mine";
  fs::create_symlink(victim, file + ".part");
  ASSERT_EQ(write(file), kGood) << err;
  EXPECT_EQ(ReadFile(victim), "mine");
  fs::remove(file + ".part");
  EXPECT_EQ(write(directory_ + "/there"), kFailed);
  EXPECT_EQ(Unfinished(), 0);
}

TEST_F(LogsCommandTest, TopSaysWhoCameMost) {
  Ingest(1, {Record(1, v1::ALLOW_DECISION), Record(2, v1::DENY_DECISION),
             Record(2, v1::DENY_DECISION)});
  std::string out, err;
  ASSERT_EQ(Run({"top", "clients"}, &out, &err), kGood) << err;
  EXPECT_LT(out.find("2.2.2.2 "), out.find("2.2.2.1 "));
  ASSERT_EQ(Run({"top", "denied", "-o", "json"}, &out, &err), kGood) << err;
  EXPECT_THAT(out, HasSubstr("{\"client_address\":\"2.2.2.2\",\"workload\":\"shop/web\","
                             "\"policy\":null,\"accesses\":2,\"denied\":2,"));
  ASSERT_EQ(Run({"top", "workloads", "--since", "1h"}, &out, &err), kGood) << err;
  EXPECT_THAT(out, HasSubstr("shop/web  3 "));
  ASSERT_EQ(Run({"top", "peers", "-o", "json"}, &out, &err), kGood) << err;
  EXPECT_THAT(out, HasSubstr("{\"direct_peer\":\"10.0.0.1\",\"accesses\":3,"));
  EXPECT_EQ(Run({"top", "nobody"}, &out, &err), kWrongUsage);
  EXPECT_EQ(Run({"top", "clients", "--since", "yesterday"}, &out, &err), kWrongUsage);
}

TEST_F(LogsCommandTest, FollowsUntilTheControlPlaneGoes) {
  CommandLine line = Line({"-f", "-o", "json"});
  ASSERT_TRUE(line.options) << line.error;
  WatchedBuffer buffer;
  std::ostream out(&buffer);
  std::ostringstream err;
  std::istringstream in;
  int code = -1;
  std::thread follower([&] { code = ctl::Run(*line.options, in, out, err); });
  // `-f` begins with what comes after it is there, which only its first record can show.
  std::atomic<bool> seen{false};
  std::thread sender([&] {
    for (uint64_t seq = 1; !seen; ++seq) Ingest(seq, {Record(9, v1::ALLOW_DECISION)});
  });
  buffer.WaitFor("\"client_address\":\"2.2.2.9\"");
  seen = true;
  sender.join();
  // More than `logs` without -f would print: following has no end of its own.
  Ingest(1'000'000, std::vector<v1::AccessRecord>(250, Record(10, v1::ALLOW_DECISION)));
  Ingest(2'000'000, {Record(11, v1::ALLOW_DECISION)});
  buffer.WaitFor("\"client_address\":\"2.2.2.11\"");
  plane_.reset();
  follower.join();
  EXPECT_EQ(code, kFailed);
  EXPECT_THAT(err.str(), HasSubstr("whencectl: "));
}

}  // namespace
}  // namespace whence::ctl
