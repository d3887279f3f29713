// What /healthz says of the access log.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "controlplane/control_plane.h"
#include "controlplane/store/database.h"
#include "whence/v1/access_log.grpc.pb.h"

namespace whence::control {
namespace {

using ::testing::HasSubstr;

class HealthTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "whence-health-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Config config;
    config.data_dir = directory_;
    config.listen = ListenAddress::Parse("unix:" + directory_ + "/s");
    config.http = ListenAddress::Parse("127.0.0.1:0");
    config.log_retention = std::chrono::hours(24 * 365 * 100);
    config.log_max_bytes = 1 << 30;
    auto plane = ControlPlane::Start(config, clock_, logger_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = std::move(*plane);
  }
  void TearDown() override {
    plane_.reset();
    std::filesystem::remove_all(directory_);
  }
  // The text of /healthz, with its head.
  std::string Healthz() const {
    const std::string address = plane_->http_address();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    std::string text;
    const std::string get = "GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 &&
        write(fd, get.data(), get.size()) == static_cast<ssize_t>(get.size())) {
      char buffer[4096];
      for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
        text.append(buffer, static_cast<size_t>(n));
      }
    }
    close(fd);
    return text;
  }
  // One record; true: it is stored.
  bool Ingest() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto channel =
        grpc::CreateChannel("unix:" + directory_ + "/s", grpc::InsecureChannelCredentials());
    auto stream = v1::AccessLogIngest::NewStub(channel)->Stream(&context);
    v1::IngestRequest request;
    request.mutable_hello()->set_agent("shop/web");
    request.mutable_hello()->set_role(v1::SIDECAR);
    stream->Write(request);
    request.mutable_batch()->set_boot("boot");
    request.mutable_batch()->set_first_seq(1);
    request.mutable_batch()->add_records();
    stream->Write(request);
    v1::IngestResponse response;
    while (stream->Read(&response)) {
      if (response.last_seq() == 1) return true;
    }
    return false;
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_;
  std::unique_ptr<ControlPlane> plane_;
};

TEST_F(HealthTest, SaysThatAccessRecordsCannotBeStored) {
  EXPECT_THAT(Healthz(), HasSubstr("\r\n\r\nok"));
  auto database = store::Database::Open(directory_ + "/logs.db");
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)->Execute("alter table high_water rename to away", "break it").ok());
  EXPECT_FALSE(Ingest());
  EXPECT_THAT(Healthz(), HasSubstr("degraded: access records cannot be stored: "));
  ASSERT_TRUE((*database)->Execute("alter table away rename to high_water", "mend it").ok());
  EXPECT_TRUE(Ingest());
  EXPECT_THAT(Healthz(), HasSubstr("\r\n\r\nok"));
}

}  // namespace
}  // namespace whence::control
