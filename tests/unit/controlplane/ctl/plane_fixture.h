// whencectl against the whole control plane, on a unix socket, with records as agents send them.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_PLANE_FIXTURE_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_PLANE_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/control_plane.h"
#include "tests/unit/controlplane/ctl/typed.h"
#include "whence/v1/access_log.grpc.pb.h"

namespace whence::ctl {

class PlaneFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-ctl-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    control::Config config;
    config.data_dir = directory_ + "/data";
    config.listen = control::ListenAddress::Parse(address());
    config.http = control::ListenAddress::Parse("127.0.0.1:0");
    config.log_retention = std::chrono::hours(24 * 365 * 100);
    config.log_max_bytes = 1 << 30;
    auto plane = control::ControlPlane::Start(config, clock_, logger_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = std::move(*plane);
    channel_ = grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
  }
  void TearDown() override {
    plane_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::string address() const { return "unix:" + directory_ + "/s"; }

  // As an agent does: hello, one batch, and back when it is acknowledged.
  void Ingest(uint64_t first_seq, const std::vector<v1::AccessRecord>& records) {
    grpc::ClientContext context;
    auto stream = v1::AccessLogIngest::NewStub(channel_)->Stream(&context);
    v1::IngestRequest hello;
    hello.mutable_hello()->set_agent("shop/web");
    hello.mutable_hello()->set_role(v1::SIDECAR);
    ASSERT_TRUE(stream->Write(hello));
    v1::IngestRequest batch;
    batch.mutable_batch()->set_boot("boot");
    batch.mutable_batch()->set_first_seq(first_seq);
    for (const v1::AccessRecord& record : records) *batch.mutable_batch()->add_records() = record;
    ASSERT_TRUE(stream->Write(batch));
    v1::IngestResponse response;
    while (response.last_seq() < first_seq + records.size() - 1) {
      ASSERT_TRUE(stream->Read(&response));
    }
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
  }

  // With the address of the control plane in front.
  std::vector<std::string> Addressed(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"--control-plane", address()});
    return arguments;
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_;
  std::unique_ptr<control::ControlPlane> plane_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace whence::ctl

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CTL_PLANE_FIXTURE_H_
