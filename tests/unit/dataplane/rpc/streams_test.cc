// The agent's two streams against a control plane that does what a test tells it, over a unix
// socket.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "dataplane/access_log/ingest_client.h"
#include "dataplane/discovery/discovery_client.h"
#include "dataplane/discovery/publisher.h"
#include "dataplane/rpc/backoff.h"
#include "dataplane/rpc/channel.h"
#include "tests/support/await.h"
#include "whence/v1/access_log.grpc.pb.h"
#include "whence/v1/access_log.pb.h"

namespace whence {
namespace {

using testing::HasSubstr;
constexpr std::chrono::seconds kPatience{20};

// The server's end of one kind of stream: keeps what arrives, writes what the test says.
template <typename In, typename Out>
class ScriptedStreams {
 public:
  struct Arrived {
    int stream = 0;
    In message;
  };

  grpc::Status Serve(grpc::ServerContext* context, grpc::ServerReaderWriter<Out, In>* stream) {
    int number = 0;
    {
      const std::lock_guard lock(mutex_);
      number = ++streams_;
      context_ = context;
      writer_ = stream;
    }
    In message;
    while (stream->Read(&message)) {
      const std::lock_guard lock(mutex_);
      arrived_.push_back({number, message});
      changed_.notify_all();
    }
    const std::lock_guard lock(mutex_);
    if (!context->IsCancelled()) ++farewells_;
    changed_.notify_all();
    if (writer_ == stream) {
      writer_ = nullptr;
      context_ = nullptr;
    }
    return grpc::Status::OK;
  }

  // The next message, waiting for it; stream 0: none came.
  Arrived Next() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return !arrived_.empty(); })) return {};
    Arrived next = std::move(arrived_.front());
    arrived_.pop_front();
    return next;
  }
  void Write(const Out& message) {
    const std::lock_guard lock(mutex_);
    ASSERT_NE(writer_, nullptr);
    ASSERT_TRUE(writer_->Write(message));
  }
  void Break() {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr) context_->TryCancel();
  }
  // Waits for a stream that its client ended in order, and did not cancel.
  bool SawFarewell() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [this] { return farewells_ > 0; });
  }
  bool HasMore() {
    const std::lock_guard lock(mutex_);
    return !arrived_.empty();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Arrived> arrived_;
  int streams_ = 0;
  int farewells_ = 0;
  grpc::ServerContext* context_ = nullptr;
  grpc::ServerReaderWriter<Out, In>* writer_ = nullptr;
};

class FakeControlPlane : public envoy::service::discovery::v3::AggregatedDiscoveryService::Service,
                         public v1::AccessLogIngest::Service {
 public:
  explicit FakeControlPlane(const std::string& path) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
    builder.RegisterService(
        static_cast<envoy::service::discovery::v3::AggregatedDiscoveryService::Service*>(this));
    builder.RegisterService(static_cast<v1::AccessLogIngest::Service*>(this));
    server_ = builder.BuildAndStart();
  }
  ~FakeControlPlane() override {
    discovery.Break();
    ingest.Break();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  grpc::Status DeltaAggregatedResources(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<discovery::Response, discovery::Request>* stream) override {
    return discovery.Serve(context, stream);
  }
  grpc::Status Stream(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override {
    return ingest.Serve(context, stream);
  }

  ScriptedStreams<discovery::Request, discovery::Response> discovery;
  ScriptedStreams<v1::IngestRequest, v1::IngestResponse> ingest;

 private:
  std::unique_ptr<grpc::Server> server_;
};

class QuietLog final : public Log {
 public:
  void Write(Level, std::string_view) override {}
};

class StreamsTest : public testing::Test {
 protected:
  StreamsTest() {
    std::string pattern = testing::TempDir() + "/streams.XXXXXX";
    directory_ = mkdtemp(pattern.data());
    path_ = directory_ + "/s";
    server_ = std::make_unique<FakeControlPlane>(path_);
    channel_ = *rpc::MakeChannel({"unix:" + path_, "", "", ""});
  }
  ~StreamsTest() override { std::filesystem::remove_all(directory_); }

  static discovery::Response BundleResponse(const std::string& nonce, const std::string& version,
                                            const std::string& cidr) {
    v1::WorkloadBundle bundle;
    bundle.set_workload("echo");
    bundle.set_namespace_("shop");
    bundle.set_role(v1::SIDECAR);
    v1::PolicyResource* policy = bundle.add_policies();
    policy->set_namespace_("shop");
    policy->set_name("edge");
    policy->mutable_spec()->set_action(v1::IpPolicySpec::DENY);
    policy->mutable_spec()->add_rules()->add_from()->mutable_source()->add_ip_blocks(cidr);
    discovery::Response response;
    response.set_type_url(discovery::kBundleType);
    response.set_nonce(nonce);
    auto* resource = response.add_resources();
    resource->set_name("shop/echo");
    resource->set_version(version);
    resource->mutable_resource()->set_type_url(discovery::kBundleType);
    resource->mutable_resource()->set_value(bundle.SerializeAsString());
    return response;
  }

  std::string directory_;
  std::string path_;
  QuietLog log_;
  std::unique_ptr<FakeControlPlane> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

class DiscoveryStreamTest : public StreamsTest {
 protected:
  DiscoveryStreamTest()
      : publisher_(
            "shop/echo",
            [this](std::shared_ptr<const snapshot::Snapshot> next) {
              const std::lock_guard lock(mutex_);
              published_.push_back(next->version);
              return absl::OkStatus();
            },
            [](auto) {}, nullptr, log_) {
    discovery::Node node;
    node.set_id("shop/echo");
    client_ = std::make_unique<discovery::DiscoveryClient>(loop_, channel_, node, publisher_, log_);
    client_->Start();
  }

  std::vector<std::string> Published() {
    const std::lock_guard lock(mutex_);
    return published_;
  }

  std::mutex mutex_;
  std::vector<std::string> published_;
  rpc::CompletionLoop loop_;
  discovery::Publisher publisher_;
  std::unique_ptr<discovery::DiscoveryClient> client_;
};

TEST_F(DiscoveryStreamTest, RefusesABadBundleAndTakesTheNextGoodOne) {
  const auto first = server_->discovery.Next();
  EXPECT_EQ(first.message.node().id(), "shop/echo");
  ASSERT_EQ(first.message.resource_names_subscribe_size(), 1);
  server_->discovery.Write(BundleResponse("n1", "v1", "1.2.3.4/99"));
  const auto nack = server_->discovery.Next();
  EXPECT_EQ(nack.message.response_nonce(), "n1");
  EXPECT_THAT(nack.message.error_detail().message(), HasSubstr("1.2.3.4/99"));
  EXPECT_TRUE(Published().empty());

  server_->discovery.Write(BundleResponse("n2", "v2", "1.2.3.4/32"));
  const auto ack = server_->discovery.Next();
  EXPECT_EQ(ack.message.response_nonce(), "n2");
  EXPECT_FALSE(ack.message.has_error_detail());
  EXPECT_EQ(Published(), std::vector<std::string>{"v2"}) << "published before it was acknowledged";
  EXPECT_EQ(client_->Stats().refusals, 1u);
}

// The control plane takes a broken stream for an agent that will be back, and this for one that
// left.
TEST_F(DiscoveryStreamTest, SaysFarewell) {
  server_->discovery.Next();
  client_.reset();
  EXPECT_TRUE(server_->discovery.SawFarewell());
}

TEST_F(DiscoveryStreamTest, ComesBackWithItsVersions) {
  server_->discovery.Next();
  server_->discovery.Write(BundleResponse("n1", "v1", "1.2.3.4"));
  server_->discovery.Next();
  server_->discovery.Break();
  const auto again = server_->discovery.Next();
  EXPECT_EQ(again.stream, 2);
  EXPECT_EQ(again.message.node().id(), "shop/echo");
  EXPECT_EQ(again.message.response_nonce(), "");
  ASSERT_EQ(again.message.initial_resource_versions_size(), 1);
  EXPECT_EQ(again.message.initial_resource_versions().at("shop/echo"), "v1");
}

TEST_F(DiscoveryStreamTest, FindsAControlPlaneThatWasRestarted) {
  server_->discovery.Next();
  server_->discovery.Write(BundleResponse("n1", "v1", "1.2.3.4"));
  server_->discovery.Next();
  server_.reset();
  server_ = std::make_unique<FakeControlPlane>(path_);
  const auto again = server_->discovery.Next();
  ASSERT_EQ(again.stream, 1) << "no stream came";
  EXPECT_EQ(again.message.initial_resource_versions().at("shop/echo"), "v1");
  server_->discovery.Write(BundleResponse("n1", "v2", "1.2.3.5"));
  EXPECT_EQ(server_->discovery.Next().message.response_nonce(), "n1");
  EXPECT_EQ(Published(), (std::vector<std::string>{"v1", "v2"}));
}

class IngestStreamTest : public StreamsTest {
 protected:
  IngestStreamTest() : outbox_(nullptr, {}) {
    for (uint64_t first = 1; first <= 9; first += 3) outbox_.Add(Batch(first), {});
    v1::IngestHello hello;
    hello.set_agent("shop/echo");
    client_ = std::make_unique<access_log::IngestClient>(loop_, channel_, hello, outbox_, log_);
    client_->Start();
  }

  static v1::IngestBatch Batch(uint64_t first) {
    v1::IngestBatch batch;
    batch.set_boot("boot");
    batch.set_first_seq(first);
    for (int i = 0; i < 3; ++i) batch.add_records();
    return batch;
  }
  void Acknowledge(uint64_t last_seq) {
    v1::IngestResponse response;
    response.set_boot("boot");
    response.set_last_seq(last_seq);
    server_->ingest.Write(response);
  }
  // First sequence number of the next batch; fails if something else comes.
  uint64_t NextBatch() {
    const auto next = server_->ingest.Next();
    EXPECT_TRUE(next.message.has_batch());
    return next.message.batch().first_seq();
  }

  rpc::CompletionLoop loop_;
  access_log::Outbox outbox_;
  std::unique_ptr<access_log::IngestClient> client_;
};

TEST_F(IngestStreamTest, SaysWhoItIsAndSendsInOrder) {
  EXPECT_EQ(server_->ingest.Next().message.hello().agent(), "shop/echo");
  EXPECT_EQ(NextBatch(), 1u);
  EXPECT_EQ(NextBatch(), 4u);
  EXPECT_EQ(NextBatch(), 7u);
  outbox_.Add(Batch(10), {});
  client_->Wake();
  EXPECT_EQ(NextBatch(), 10u);
  Acknowledge(12);
  EXPECT_TRUE(outbox_.WaitUntilEmpty(kPatience));
}

TEST_F(IngestStreamTest, SendsAgainOnlyWhatWasNotAcknowledged) {
  server_->ingest.Next();
  for (int i = 0; i < 3; ++i) NextBatch();
  Acknowledge(3);
  // Wait for the acknowledgement to have arrived before the stream breaks.
  ASSERT_TRUE(Await([&] { return outbox_.Stats().acknowledged != 0; }));
  server_->ingest.Break();
  const auto hello = server_->ingest.Next();
  EXPECT_EQ(hello.stream, 2);
  EXPECT_TRUE(hello.message.has_hello());
  EXPECT_EQ(NextBatch(), 4u);
  EXPECT_EQ(NextBatch(), 7u);
  // The control plane had committed more than it could acknowledge: its first word says so.
  Acknowledge(9);
  EXPECT_TRUE(outbox_.WaitUntilEmpty(kPatience));
  EXPECT_FALSE(server_->ingest.HasMore());
}

TEST_F(IngestStreamTest, WaitsWhenTheWindowIsFull) {
  for (uint64_t first = 10; first <= 28; first += 3) outbox_.Add(Batch(first), {});
  client_->Wake();
  server_->ingest.Next();
  std::set<uint64_t> sent;
  for (int i = 0; i < 8; ++i) sent.insert(NextBatch());
  EXPECT_EQ(sent.size(), 8u);
  EXPECT_EQ(outbox_.NextToSend(), std::nullopt) << "the window is 8 batches";
  Acknowledge(6);
  EXPECT_EQ(NextBatch(), 25u);
  EXPECT_EQ(NextBatch(), 28u);
}

TEST(BackoffTest, GrowsToItsLimitAndStartsOver) {
  using std::chrono::milliseconds;
  rpc::Backoff backoff(milliseconds(100), milliseconds(1'000));
  EXPECT_EQ(backoff.Next(0.999).count(), 99);
  EXPECT_EQ(backoff.Next(0.5).count(), 100);
  EXPECT_EQ(backoff.Next(0.5).count(), 200);
  EXPECT_EQ(backoff.Next(0.5).count(), 400);
  EXPECT_EQ(backoff.Next(0.5).count(), 500);
  EXPECT_EQ(backoff.Next(0.0).count(), 10) << "never at once";
  backoff.Reset();
  EXPECT_EQ(backoff.Next(0.5).count(), 50);
}

TEST(ChannelTest, KnowsWhatStaysOnThisMachine) {
  for (const char* local :
       {"unix:/run/s", "localhost:1", "127.0.0.1:15010", "[::1]:15010", "127.9.9.9:1"}) {
    EXPECT_TRUE(rpc::IsLocal(local)) << local;
  }
  for (const char* remote :
       {"10.0.0.5:15010", "[2001:db8::1]:1", "control.whence:15010", "localhost.evil:1"}) {
    EXPECT_FALSE(rpc::IsLocal(remote)) << remote;
  }
}

TEST(ChannelTest, NamesTheFileItCannotRead) {
  const auto channel = rpc::MakeChannel({"10.0.0.5:15012", "/no/such/ca.pem", "", ""});
  EXPECT_THAT(std::string(channel.status().message()), HasSubstr("/no/such/ca.pem"));
}

}  // namespace
}  // namespace whence
