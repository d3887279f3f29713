// whence-control as a process: what it prints, how it ends, and what it still knows afterwards.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "whence/v1/admin.grpc.pb.h"

namespace whence::control {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

// A child with its output in pipes. Killed, if it still runs, when it goes out of scope.
class Process {
 public:
  explicit Process(std::vector<std::string> arguments) {
    int out[2], err[2];
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    if (posix_spawn(&pid_, raw[0], &actions, nullptr, raw.data(), environ) != 0) std::abort();
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(out_);
    close(err_);
  }

  // Up to a line's end, or to the end of the output.
  std::string Line() {
    std::string line;
    char c = 0;
    while (read(out_, &c, 1) == 1 && c != '\n') line += c;
    return line;
  }
  std::string Errors() {
    std::string text;
    char buffer[4096];
    for (ssize_t n; (n = read(err_, buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    return text;
  }
  void Signal(int number) const { kill(pid_, number); }
  // The wait status.
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
  int out_ = -1;
  int err_ = -1;
};

class ProgramTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-prg-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::vector<std::string> Arguments() const {
    return {WHENCE_CONTROL_PROGRAM,      "--data-dir", directory_ + "/data", "--listen",
            "unix:" + directory_ + "/s", "--http",     "127.0.0.1:0"};
  }

  uint64_t Apply(const std::string& cidr) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel("unix:" + directory_ + "/s",
                                             grpc::InsecureChannelCredentials(), arguments);
    v1::ApplyRequest request;
    request.add_files()->set_content(
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: s}\nspec: {cidrs: [" + cidr +
        "]}");
    v1::ApplyResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::Status status = v1::ConfigService::NewStub(channel)->Apply(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.revision();
  }

  std::string directory_;
};

TEST_F(ProgramTest, SaysWhereItListensAndEndsCleanlyOnSigterm) {
  Process control(Arguments());
  EXPECT_THAT(
      control.Line(),
      MatchesRegex("whence-control ready: grpc unix:.*/s, http 127\\.0\\.0\\.1:[1-9][0-9]*, "
                   "data .*/data, revision 0"));
  Process second({WHENCE_CONTROL_PROGRAM, "--data-dir", directory_ + "/data", "--listen",
                  "127.0.0.1:0", "--http", "none"});
  EXPECT_THAT(second.Errors(), HasSubstr("in use by another whence-control"));
  int refused = second.Wait();
  EXPECT_TRUE(WIFEXITED(refused) && WEXITSTATUS(refused) == 1);
  control.Signal(SIGTERM);
  int status = control.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ProgramTest, KeepsEveryAcknowledgedRevisionOverSigkill) {
  uint64_t acknowledged = 0;
  for (int round = 0; round < 3; ++round) {
    Process control(Arguments());
    EXPECT_THAT(control.Line(), HasSubstr("revision " + std::to_string(acknowledged)));
    acknowledged = Apply("10.0.0." + std::to_string(round) + "/32");
    EXPECT_EQ(acknowledged, static_cast<uint64_t>(round) + 1);
    control.Signal(SIGKILL);
    control.Wait();
  }
}

TEST_F(ProgramTest, SaysThatTheAccessLogIsGoneAndStarts) {
  const std::string logs = directory_ + "/data/logs.db";
  const char* const kWarning = "the access log is missing or empty";
  for (const bool is_lost : {false, false, true}) {  // New, as it was, lost.
    if (is_lost) {
      for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(logs + suffix);
    }
    Process control(Arguments());
    EXPECT_THAT(control.Line(), HasSubstr("whence-control ready"));
    if (!is_lost) Apply("10.0.0.0/8");
    control.Signal(SIGTERM);
    control.Wait();
    const std::string errors = control.Errors();
    EXPECT_EQ(errors.find(kWarning) != std::string::npos, is_lost) << errors;
  }
}

TEST_F(ProgramTest, RefusesADamagedStoreWithOneLineAndCodeOne) {
  std::filesystem::create_directory(directory_ + "/data");
  std::string garbage(8192, 'x');
  FILE* file = std::fopen((directory_ + "/data/config.db").c_str(), "w");
  ASSERT_NE(file, nullptr);
  std::fwrite(garbage.data(), 1, garbage.size(), file);
  std::fclose(file);
  Process control(Arguments());
  std::string errors = control.Errors();
  EXPECT_THAT(errors, HasSubstr("config.db: cannot "));
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1) << errors;
  int status = control.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/data/config.db"), garbage.size());
}

TEST_F(ProgramTest, RefusesWrongUsageWithCodeTwo) {
  Process control({WHENCE_CONTROL_PROGRAM, "--listen", "0.0.0.0:0"});
  EXPECT_THAT(control.Errors(), HasSubstr("--insecure-bind"));
  int status = control.Wait();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

}  // namespace
}  // namespace whence::control
