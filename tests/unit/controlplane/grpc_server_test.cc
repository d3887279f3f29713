// What every gRPC listener of ours has: health, reflection, honest bind errors.
#include "controlplane/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "tests/unit/controlplane/control_fixture.h"

namespace whence::control {
namespace {

using ::testing::HasSubstr;

class GrpcServerTest : public ControlFixture {};

// One message to a method and one back, as bytes: for services whose stubs we do not compile.
std::string CallBytes(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                      const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  auto call = stub.PrepareCall(&context, method, &queue);
  auto wait = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  grpc::Slice slice(request);
  grpc::ByteBuffer sent(&slice, 1), received;
  call->StartCall(nullptr);
  EXPECT_TRUE(wait());
  call->WriteLast(sent, {}, nullptr);
  EXPECT_TRUE(wait());
  call->Read(&received, nullptr);
  EXPECT_TRUE(wait()) << method;
  grpc::Status status;
  call->Finish(&status, nullptr);
  EXPECT_TRUE(wait());
  EXPECT_TRUE(status.ok()) << method << ": " << status.error_message();
  grpc::Slice answer;
  EXPECT_TRUE(received.DumpToSingleSlice(&answer).ok());
  return std::string(reinterpret_cast<const char*>(answer.begin()), answer.size());
}

TEST_F(GrpcServerTest, AnswersHealthReflectionAndChannelz) {
  // HealthCheckResponse{status: SERVING}
  EXPECT_EQ(CallBytes(channel_, "/grpc.health.v1.Health/Check", ""), "\x08\x01");
  // ServerReflectionRequest{list_services: ""}
  std::string services =
      CallBytes(channel_, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                std::string("\x3a\x00", 2));
  EXPECT_THAT(services, HasSubstr("whence.v1.ConfigService"));
  EXPECT_THAT(services, HasSubstr("whence.v1.AgentService"));
  EXPECT_NE(CallBytes(channel_, "/grpc.channelz.v1.Channelz/GetServers", ""), "");
}

TEST_F(GrpcServerTest, NamesTheFileThatIsNoCertificate) {
  security::TlsFiles files{File("c.pem", "not a certificate"), directory_ + "/k", ""};
  auto server = GrpcServer::Start({}, ListenAddress::Parse("127.0.0.1:0"), files, nullptr, {});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("--cert " + directory_ + "/c.pem"));
}

TEST_F(GrpcServerTest, SaysWhyItCannotListen) {
  auto first =
      GrpcServer::Start(ListenAddress::Parse("127.0.0.1:0"), {}, {}, nullptr, {&plane_->service});
  ASSERT_TRUE(first.ok()) << first.status();
  auto second =
      GrpcServer::Start(ListenAddress::Parse((*first)->addresses()[0]), {}, {}, nullptr, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("Address already in use"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
  auto elsewhere =
      GrpcServer::Start(ListenAddress::Parse("unix:/no/such/directory/s"), {}, {}, nullptr, {});
  EXPECT_THAT(std::string(elsewhere.status().message()), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace whence::control
