// Intake and queries over a unix socket, with a real gRPC client that plays the agent.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "common/net/ip_address.h"
#include "controlplane/access_log/envoy_service.h"
#include "controlplane/access_log/ingest_service.h"
#include "controlplane/access_log/log_service.h"

namespace whence::access_log {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Bytes(const char* address) {
  auto bytes = net::IpAddress::Parse(address)->bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Record number `seq` of a boot, told apart by its path.
v1::AccessRecord Record(const std::string& boot, uint64_t seq) {
  v1::AccessRecord record;
  record.set_time_us(static_cast<int64_t>(1000000 + seq));
  record.set_protocol("http/1.1");
  record.set_client_address(Bytes("123.120.247.15"));
  record.set_direct_peer(Bytes("10.32.1.221"));
  record.set_path("/" + boot + "/" + std::to_string(seq));
  record.set_decision(v1::ALLOW_DECISION);
  return record;
}

// One ingest stream, driven by hand.
class Agent {
 public:
  explicit Agent(v1::AccessLogIngest::Stub& stub) {
    context_.set_deadline(std::chrono::system_clock::now() + 60s);
    stream_ = stub.Stream(&context_);
  }
  ~Agent() {
    if (!stream_) return;
    context_.TryCancel();
    (void)Finish();
  }
  bool Hello(const std::string& agent, v1::AgentRole role = v1::SIDECAR) {
    v1::IngestRequest request;
    request.mutable_hello()->set_agent(agent);
    request.mutable_hello()->set_node("node-a");
    request.mutable_hello()->set_role(role);
    return stream_->Write(request);
  }
  bool Send(const std::string& boot, uint64_t first, uint64_t last) {
    v1::IngestRequest request;
    request.mutable_batch()->set_boot(boot);
    request.mutable_batch()->set_first_seq(first);
    for (uint64_t seq = first; seq <= last; ++seq) {
      *request.mutable_batch()->add_records() = Record(boot, seq);
    }
    return stream_->Write(request);
  }
  // "boot mark", or the stream's end: "".
  std::string ReadAck() {
    v1::IngestResponse response;
    if (!stream_->Read(&response)) return "";
    return response.boot() + " " + std::to_string(response.last_seq());
  }
  std::string ReadAckUpTo(const std::string& want) {
    while (true) {
      std::string ack = ReadAck();
      if (ack == want || ack.empty()) return ack;
    }
  }
  void HalfClose() { stream_->WritesDone(); }
  grpc::Status Finish() {
    v1::IngestResponse rest;
    while (stream_->Read(&rest)) continue;
    grpc::Status status = stream_->Finish();
    stream_.reset();
    return status;
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
};

TEST(CheckBatchTest, BoundsWhatOneBatchMayHold) {
  v1::IngestBatch batch;
  batch.set_boot("b");
  for (int i = 0; i < 10000; ++i) batch.add_records();
  EXPECT_TRUE(CheckBatch(batch).ok());
  batch.add_records();
  EXPECT_EQ(CheckBatch(batch).code(), absl::StatusCode::kInvalidArgument);
  batch.clear_records();
  batch.add_records()->set_path(std::string(size_t{4} << 20, 'p'));
  EXPECT_EQ(CheckBatch(batch).code(), absl::StatusCode::kInvalidArgument);
  batch.mutable_records(0)->mutable_path()->resize(size_t{3} << 20);
  EXPECT_TRUE(CheckBatch(batch).ok());
}

class AccessLogServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/access_log_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    Start();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(directory_);
  }
  void Start() {
    auto store = AccessLogStore::Open(directory_ + "/logs.db", {}, clock_, logger_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    ingest_ = std::make_unique<IngestService>(*store_, refusals_);
    envoys_ = std::make_unique<EnvoyLogService>(*store_, refusals_);
    logs_ = std::make_unique<LogServiceImpl>(*store_);
    std::string address = "unix:" + directory_ + "/grpc.sock";
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.SetMaxReceiveMessageSize(64 << 20);  // as the program has it
    builder.RegisterService(ingest_.get());
    builder.RegisterService(envoys_.get());
    builder.RegisterService(logs_.get());
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
    auto channel = channel_ = grpc::CreateChannel(address, grpc::InsecureChannelCredentials());
    ingest_stub_ = v1::AccessLogIngest::NewStub(channel);
    envoy_stub_ = envoy::service::accesslog::v3::AccessLogService::NewStub(channel);
    log_stub_ = v1::LogService::NewStub(channel);
  }
  // As a crash does it: streams are cancelled, not ended in good order.
  void Stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_.reset();
    logs_.reset();
    ingest_.reset();
    envoys_.reset();
    store_.reset();
  }

  std::vector<v1::LogRow> Query(const v1::LogQuery& query) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 30s);
    auto reader = log_stub_->Query(&context, query);
    std::vector<v1::LogRow> rows;
    v1::LogRow row;
    while (reader->Read(&row)) rows.push_back(row);
    grpc::Status status = reader->Finish();
    EXPECT_TRUE(status.ok()) << status.error_message();
    return rows;
  }
  int64_t Count(store::Sql sql) {
    auto database = store::Database::Open(directory_ + "/logs.db", {.read_only = true});
    return *(*database)->QueryInt(sql, "count");
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  security::Refusals refusals_{clock_, logger_};
  std::string directory_;
  std::unique_ptr<AccessLogStore> store_;
  std::unique_ptr<IngestService> ingest_;
  std::unique_ptr<EnvoyLogService> envoys_;
  std::unique_ptr<LogServiceImpl> logs_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AccessLogIngest::Stub> ingest_stub_;
  std::unique_ptr<envoy::service::accesslog::v3::AccessLogService::Stub> envoy_stub_;
  std::unique_ptr<v1::LogService::Stub> log_stub_;
};

TEST_F(AccessLogServiceTest, AcknowledgesWhatIsInTheDatabase) {
  Agent agent(*ingest_stub_);
  agent.Hello("shop/echo", v1::GATEWAY);
  agent.Send("b1", 1, 3);
  EXPECT_EQ(agent.ReadAck(), "b1 3");
  EXPECT_EQ(Count("select count(*) from access_log where agent = 'shop/echo' and role = 'gateway' "
                  "and node = 'node-a' and client_address = '123.120.247.15'"),
            3);
  agent.Send("b1", 2, 5);  // overlaps
  EXPECT_EQ(agent.ReadAck(), "b1 5");
  agent.Send("b0", 1, 1);  // an earlier boot, from its spool
  EXPECT_EQ(agent.ReadAck(), "b0 1");
  EXPECT_EQ(Count("select count(*) from access_log"), 6);
  agent.HalfClose();
  EXPECT_TRUE(agent.Finish().ok());
}

TEST_F(AccessLogServiceTest, RefusesWhatItCannotKey) {
  {
    Agent agent(*ingest_stub_);
    agent.Send("b1", 1, 1);
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  for (const char* name : {"", "echo", "a/b/c", "/x", "x/", "a/b\x1b[2J"}) {
    Agent agent(*ingest_stub_);
    agent.Hello(name);
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT) << name;
  }
  for (auto [boot, first] :
       {std::pair{std::string(), uint64_t{1}}, std::pair{std::string(200, 'b'), uint64_t{1}},
        std::pair{std::string("b"), uint64_t{INT64_MAX}}}) {
    Agent agent(*ingest_stub_);
    agent.Hello("shop/echo");
    agent.Send(boot, first, first);
    EXPECT_EQ(agent.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_EQ(Count("select count(*) from access_log"), 0);
}

// The server goes away again and again in the middle of a flood; the agent does what agents do:
// comes back and repeats everything that was not acknowledged to it.
TEST_F(AccessLogServiceTest, NothingIsLostOrDoubledWhenTheServerIsKilled) {
  static constexpr uint64_t kTotal = 30000, kBatch = 100;
  uint64_t acknowledged = 0;
  int lives = 0;
  while (acknowledged < kTotal) {
    ++lives;
    Agent agent(*ingest_stub_);
    agent.Hello("shop/echo");
    std::thread killer;
    std::atomic<bool> over{false};
    if (lives <= 5) {
      // Once this life has committed something, at whatever point the flood then is.
      killer = std::thread([this, &over] {
        while (store_->counters().records.load() < 500 && !over) std::this_thread::yield();
        server_->Shutdown(std::chrono::system_clock::now());
      });
    }
    std::thread writer([&agent, from = acknowledged] {
      for (uint64_t seq = from + 1; seq <= kTotal; seq += kBatch) {
        if (!agent.Send("b1", seq, std::min(seq + kBatch - 1, kTotal))) return;
      }
      agent.HalfClose();
    });
    for (std::string ack = agent.ReadAck(); !ack.empty(); ack = agent.ReadAck()) {
      acknowledged = std::stoull(ack.substr(3));
    }
    over = true;
    writer.join();
    (void)agent.Finish();
    if (!killer.joinable()) continue;
    killer.join();
    Stop();
    Start();
    // What was acknowledged is there, and most times more: committed, but the answer did not
    // arrive.
    EXPECT_LE(static_cast<int64_t>(acknowledged), Count("select count(*) from access_log"));
  }
  EXPECT_GE(lives, 2);
  EXPECT_EQ(Count("select count(*) from access_log"), static_cast<int64_t>(kTotal));
  EXPECT_EQ(Count("select count(distinct path) from access_log"), static_cast<int64_t>(kTotal));
}

TEST_F(AccessLogServiceTest, ManyAgentsAtOnceShareCommits) {
  constexpr int kAgents = 8;
  std::vector<std::thread> threads;
  for (int i = 0; i < kAgents; ++i) {
    threads.emplace_back([this, i] {
      Agent agent(*ingest_stub_);
      agent.Hello("shop/echo-" + std::to_string(i));
      for (uint64_t seq = 1; seq <= 500; seq += 5) agent.Send("b", seq, seq + 4);
      EXPECT_EQ(agent.ReadAckUpTo("b 500"), "b 500");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Count("select count(*) from access_log"), kAgents * 500);
  EXPECT_EQ(Count("select count(distinct agent || path) from access_log"), kAgents * 500);
}

TEST_F(AccessLogServiceTest, AQueryAnswersNewestFirstAndStopsAtItsLimit) {
  Agent agent(*ingest_stub_);
  agent.Hello("shop/echo");
  agent.Send("b", 1, 5000);
  ASSERT_EQ(agent.ReadAck(), "b 5000");
  v1::LogQuery query;
  query.set_limit(4500);  // more than a page
  std::vector<v1::LogRow> rows = Query(query);
  ASSERT_EQ(rows.size(), 4500u);
  for (size_t i = 0; i < rows.size(); ++i) {
    ASSERT_EQ(rows[i].record().path(), "/b/" + std::to_string(5000 - i));
  }
  EXPECT_EQ(rows[0].agent(), "shop/echo");
  EXPECT_EQ(rows[0].namespace_(), "shop");
  EXPECT_EQ(rows[0].record().client_address(), Bytes("123.120.247.15"));
  EXPECT_EQ(Query({}).size(), 100u);
  query.set_limit(1);
  query.set_client_cidr("123.120.247.0/24");
  EXPECT_EQ(Query(query).size(), 1u);
  query.set_client_cidr("1.1.1.1");
  EXPECT_EQ(Query(query).size(), 0u);

  grpc::ClientContext context;
  query.set_client_cidr("1.1.1.1/99");
  auto reader = log_stub_->Query(&context, query);
  v1::LogRow row;
  EXPECT_FALSE(reader->Read(&row));
  grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("client_cidr"));
}

TEST_F(AccessLogServiceTest, AFollowerIsToldOfEveryCommitUntilItGoes) {
  Agent agent(*ingest_stub_);
  agent.Hello("shop/echo");
  agent.Send("old", 1, 10);
  ASSERT_EQ(agent.ReadAck(), "old 10");
  v1::LogQuery query;
  query.set_follow(true);
  query.set_workload("shop/echo");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 30s);
  auto reader = log_stub_->Query(&context, query);
  // The server answers a follower at once, with headers: from then on it listens.
  reader->WaitForInitialMetadata();
  for (uint64_t seq = 1; seq <= 50; ++seq) {
    agent.Send("new", seq, seq);
    v1::LogRow row;
    ASSERT_TRUE(reader->Read(&row));
    EXPECT_EQ(row.record().path(), "/new/" + std::to_string(seq));
  }
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);

  // A limit ends it.
  grpc::ClientContext limited;
  limited.set_deadline(std::chrono::system_clock::now() + 30s);
  query.set_limit(2);
  reader = log_stub_->Query(&limited, query);
  reader->WaitForInitialMetadata();
  agent.Send("new", 51, 55);
  v1::LogRow row;
  ASSERT_TRUE(reader->Read(&row));
  EXPECT_EQ(row.record().path(), "/new/51");
  ASSERT_TRUE(reader->Read(&row));
  EXPECT_FALSE(reader->Read(&row));
  EXPECT_TRUE(reader->Finish().ok());
}

// As an Envoy does it: the identifier once, entries without sequence numbers, no answer.
TEST_F(AccessLogServiceTest, AnEnvoyLogsToTheSameTable) {
  namespace als = envoy::service::accesslog::v3;
  Keeping keeping;
  keeping.privacy.mode = trust::ClientPrivacy::Mode::kTruncate;
  for (bool hide : {false, true}) {
    envoys_->SetKeeping(hide ? keeping : Keeping());
    grpc::ClientContext context;
    als::StreamAccessLogsResponse response;
    auto writer = envoy_stub_->StreamAccessLogs(&context, &response);
    als::StreamAccessLogsMessage message;
    message.mutable_identifier()->mutable_node()->set_id("sidecar~10.1.1.1~web-1.shop~cluster");
    auto* entry = message.mutable_http_logs()->add_log_entry();
    entry->set_protocol_version(envoy::data::accesslog::v3::HTTPAccessLogEntry::HTTP2);
    auto* common = entry->mutable_common_properties();
    auto* client = common->mutable_downstream_remote_address()->mutable_socket_address();
    client->set_address("203.0.113.77");
    client->set_port_value(4711);
    common->mutable_start_time()->set_seconds(1'700'000'000);
    common->mutable_start_time()->set_nanos(123'456'789);
    common->mutable_duration()->set_nanos(2'000'000);
    entry->mutable_request()->set_request_method(3);
    entry->mutable_request()->set_authority("shop.example");
    entry->mutable_request()->set_path("/pay\xff?card=hush");
    entry->mutable_request()->set_forwarded_for("203.0.113.77,10.0.0.1");
    entry->mutable_response()->mutable_response_code()->set_value(403);
    entry->mutable_response()->set_response_code_details(
        "rbac_access_denied_matched_policy[ns[shop]-policy[edge]-rule[0]]");
    ASSERT_TRUE(writer->Write(message));
    als::StreamAccessLogsMessage more;
    auto* tcp = more.mutable_tcp_logs()->add_log_entry();
    tcp->mutable_connection_properties()->set_received_bytes(11);
    tcp->mutable_common_properties()->mutable_response_flags()->set_upstream_connection_failure(
        true);
    ASSERT_TRUE(writer->Write(more));
    writer->WritesDone();
    ASSERT_TRUE(writer->Finish().ok());
  }
  while (store_->counters().records.load() < 4) std::this_thread::yield();
  v1::LogQuery query;
  query.set_workload("shop/web-1");
  query.set_oldest_first(true);
  const std::vector<v1::LogRow> rows = Query(query);
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].role(), "envoy");
  const v1::AccessRecord& http = rows[0].record();
  EXPECT_EQ(http.time_us(), 1'700'000'000'123'456);
  EXPECT_EQ(http.protocol(), "http/2");
  EXPECT_EQ(http.client_address(), Bytes("203.0.113.77"));
  EXPECT_EQ(http.direct_peer_port(), 4711u);
  EXPECT_EQ(http.client_reason(), "envoy");
  EXPECT_EQ(http.method(), "POST");
  EXPECT_EQ(http.path(), "/pay\xff");
  EXPECT_EQ(http.status(), 403u);
  EXPECT_EQ(http.decision(), v1::DENY_DECISION);
  EXPECT_EQ(http.policy(), "shop/edge");
  EXPECT_EQ(http.duration_us(), 2000u);
  EXPECT_EQ(rows[1].record().protocol(), "tcp");
  EXPECT_EQ(rows[1].record().bytes_in(), 11u);
  EXPECT_EQ(rows[1].record().flags(), "upstream-connect-failed");
  EXPECT_EQ(rows[2].record().client_address(), Bytes("203.0.113.0"));
  EXPECT_EQ(rows[2].record().forwarded_for(), "203.0.113.0, 10.0.0.0");
}

TEST_F(AccessLogServiceTest, WhatIsTooLargeOrCannotBeReadIsRefusedAndNotTakenForTheEnd) {
  struct Row {
    const char* name;
    std::string bytes;
    grpc::StatusCode want;
  };
  const Row rows[] = {
      {"too large", std::string(5 << 20, 'a'), grpc::StatusCode::RESOURCE_EXHAUSTED},
      {"no message", "\xff\xff\xff", grpc::StatusCode::INVALID_ARGUMENT},
  };
  grpc::GenericStub stub(channel_);
  for (const char* method : {"/whence.v1.AccessLogIngest/Stream",
                             "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(std::string(method) + ": " + row.name);
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + 30s);
      grpc::CompletionQueue queue;
      auto call = stub.PrepareCall(&context, method, &queue);
      grpc::Status status;
      grpc::ByteBuffer answer;
      void* tag = nullptr;
      bool ok = false;
      call->StartCall(nullptr);
      queue.Next(&tag, &ok);
      const grpc::Slice slice(row.bytes);
      call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
      queue.Next(&tag, &ok);
      call->Finish(&status, nullptr);
      queue.Next(&tag, &ok);
      EXPECT_EQ(status.error_code(), row.want) << status.error_message();
    }
  }
}

TEST_F(AccessLogServiceTest, AnEnvoyWithoutANameIsRefused) {
  namespace als = envoy::service::accesslog::v3;
  grpc::ClientContext context;
  als::StreamAccessLogsResponse response;
  auto writer = envoy_stub_->StreamAccessLogs(&context, &response);
  als::StreamAccessLogsMessage message;
  message.mutable_http_logs()->add_log_entry();
  writer->Write(message);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Count("select count(*) from access_log"), 0);
}

// From history into the present: every row once, in order, while more arrive all the time.
TEST_F(AccessLogServiceTest, AFollowerWithASinceIsToldOfTheHistoryFirst) {
  constexpr uint64_t kOld = 3000, kAll = 6000;  // more than a page
  Agent agent(*ingest_stub_);
  agent.Hello("shop/echo");
  agent.Send("b", 1, kOld);
  ASSERT_EQ(agent.ReadAck(), "b " + std::to_string(kOld));
  v1::LogQuery query;
  query.set_follow(true);
  query.set_since_us(1000000 + 11);  // record 11 and later
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + 60s);
  auto reader = log_stub_->Query(&context, query);
  std::thread writer([&agent] {
    for (uint64_t seq = kOld + 1; seq <= kAll; seq += 100) agent.Send("b", seq, seq + 99);
  });
  v1::LogRow row;
  for (uint64_t seq = 11; seq <= kAll; ++seq) {
    if (!reader->Read(&row)) {
      ADD_FAILURE() << "ended before " << seq;
      break;
    }
    EXPECT_EQ(row.record().path(), "/b/" + std::to_string(seq));
  }
  writer.join();
  context.TryCancel();
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace whence::access_log
