// A real control plane's admin side on a unix socket in a directory of its own: store, services,
// gRPC.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CONTROL_FIXTURE_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CONTROL_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "controlplane/admin/agent_service.h"
#include "controlplane/admin/config_service.h"
#include "controlplane/admin/config_writer.h"
#include "controlplane/admin/security_service.h"
#include "controlplane/admin/worker.h"
#include "controlplane/discovery/inventory.h"
#include "controlplane/grpc_server.h"
#include "controlplane/log/logger.h"
#include "controlplane/model/current_config.h"
#include "controlplane/store/sqlite_store.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence {

class ControlFixture : public ::testing::Test {
 protected:
  // Everything that whence-control's main builds, but for logs and discovery.
  struct Plane {
    explicit Plane(const std::string& directory)
        : store(*store::SqliteStore::Open(directory + "/config.db")),
          writer(*store, current, clock, logger),
          service(writer, *store, current, inventory, clock, worker),
          agents(inventory, current, clock) {
      EXPECT_TRUE(writer.Load().ok());
      auto started =
          control::GrpcServer::Start(control::ListenAddress::Parse("unix:" + directory + "/s"), {},
                                     {}, nullptr, {&service, &agents, &security});
      EXPECT_TRUE(started.ok()) << started.status();
      server = std::move(*started);
    }
    SystemClock clock;
    log::Logger logger{log::Level::kOff};
    std::unique_ptr<store::SqliteStore> store;
    model::CurrentConfig current;
    discovery::Inventory inventory{clock};
    admin::ConfigWriter writer;
    admin::Worker worker;
    admin::ConfigService service;
    admin::AgentService agents;
    security::Refusals refusals{clock, logger};
    admin::SecurityService security{refusals};
    std::unique_ptr<control::GrpcServer> server;  // last: ends the calls before what they use
  };

  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-ctl-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    Restart();
  }
  void TearDown() override {
    plane_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Restart() {
    plane_.reset();
    plane_ = std::make_unique<Plane>(directory_);
    // A channel of its own: one to the old server would back off first.
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel(Address(), grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::ConfigService::NewStub(channel_);
  }

  std::string Address() const { return "unix:" + directory_ + "/s"; }

  // Writes a file into the directory and gives its path.
  std::string File(const std::string& name, const std::string& content) {
    std::string path = directory_ + "/" + name;
    std::ofstream(path, std::ios::binary) << content;
    return path;
  }

  std::string directory_;
  std::unique_ptr<Plane> plane_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::ConfigService::Stub> stub_;
};

}  // namespace whence

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CONTROL_FIXTURE_H_
