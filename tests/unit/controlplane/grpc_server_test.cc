// What every gRPC listener of ours has: client certificates, health, reflection, honest bind
// errors.
#include "controlplane/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/unit/controlplane/control_fixture.h"

namespace whence::control {
namespace {

using ::testing::HasSubstr;

class GrpcServerTest : public ControlFixture {
 protected:
  void Shell(const std::string& command) {
    ASSERT_EQ(std::system(("cd " + directory_ + " && (" + command + ") >/dev/null 2>&1").c_str()),
              0)
        << command;
  }

  // A CA, a server certificate for localhost, a client certificate of each of two CAs.
  void MakeCertificates() {
    const std::string key = "openssl req -nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256 ";
    for (const char* ca : {"ca", "stranger-ca"}) {
      Shell(key + "-x509 -days 1 -subj /CN=" + ca + " -keyout " + ca + ".key -out " + ca + ".crt");
    }
    File("names", "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
    for (const auto& [name, ca] :
         {std::pair{"server", "ca"}, {"ana", "ca"}, {"stranger", "stranger-ca"}}) {
      std::string file = name;
      Shell(key + "-subj /CN=" + file + " -keyout " + file + ".key -out " + file + ".csr");
      Shell(std::string("openssl x509 -req -days 1 -CAcreateserial -CA ") + ca + ".crt -CAkey " +
            ca + ".key -in " + file + ".csr -out " + file + ".crt" +
            (file == "server" ? " -extfile names" : ""));
    }
  }

  std::string Read(const std::string& name) {
    std::ostringstream text;
    text << std::ifstream(directory_ + "/" + name).rdbuf();
    return text.str();
  }

  grpc::Status Apply(const std::string& address,
                     const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto stub =
        v1::ConfigService::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
    v1::ApplyRequest request;
    request.set_author("somebody else");
    request.add_files()->set_content(
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: s}\nspec: {cidrs: [10.0.0.0/8]}");
    v1::ApplyResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    return stub->Apply(&context, request, &response);
  }

  std::shared_ptr<grpc::ChannelCredentials> Client(const std::string& name) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = Read("ca.crt");
    if (!name.empty()) {
      options.pem_cert_chain = Read(name + ".crt");
      options.pem_private_key = Read(name + ".key");
    }
    return grpc::SslCredentials(options);
  }
};

TEST_F(GrpcServerTest, TakesOnlyClientsWithACertificateOfItsCaAndRecordsTheirName) {
  MakeCertificates();
  TlsFiles files{directory_ + "/server.crt", directory_ + "/server.key", directory_ + "/ca.crt"};
  auto server =
      GrpcServer::Start({}, ListenAddress::Parse("127.0.0.1:0"), files, {&plane_->service});
  ASSERT_TRUE(server.ok()) << server.status();
  std::string address = (*server)->addresses()[0];
  for (const auto& credentials :
       {grpc::InsecureChannelCredentials(), Client(""), Client("stranger")}) {
    EXPECT_EQ(Apply(address, credentials).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(plane_->current.Get()->revision, 0u);
  grpc::Status status = Apply(address, Client("ana"));
  ASSERT_TRUE(status.ok()) << status.error_message();
  // The certificate says who it was, whatever the request claims.
  EXPECT_EQ(plane_->current.Get()->documents[0].author(), "ana");
}

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
  TlsFiles files{File("c.pem", "not a certificate"), directory_ + "/k", ""};
  auto server = GrpcServer::Start({}, ListenAddress::Parse("127.0.0.1:0"), files, {});
  ASSERT_FALSE(server.ok());
  EXPECT_THAT(std::string(server.status().message()), HasSubstr("--cert " + directory_ + "/c.pem"));
}

TEST_F(GrpcServerTest, SaysWhyItCannotListen) {
  auto first = GrpcServer::Start(ListenAddress::Parse("127.0.0.1:0"), {}, {}, {&plane_->service});
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = GrpcServer::Start(ListenAddress::Parse((*first)->addresses()[0]), {}, {}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("Address already in use"));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("--listen"));
  auto elsewhere = GrpcServer::Start(ListenAddress::Parse("unix:/no/such/directory/s"), {}, {}, {});
  EXPECT_THAT(std::string(elsewhere.status().message()), HasSubstr("No such file or directory"));
}

}  // namespace
}  // namespace whence::control
