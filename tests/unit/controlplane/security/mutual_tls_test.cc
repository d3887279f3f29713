// The whole control plane behind mTLS: who gets in, who may do what, and what an agent can see of
// others. Faults 16 (another's configuration) and 17 (certificates that end or change) are here.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <set>

#include "controlplane/control_plane.h"
#include "controlplane/security/method_table.h"
#include "envoy/service/accesslog/v3/als.grpc.pb.h"
#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "tests/support/certificates.h"
#include "whence/v1/access_log.grpc.pb.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using grpc::StatusCode;
using security::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kDocuments[] =
    "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: theirs, namespace: shop}\n"
    "spec: {cidrs: [192.0.2.0/24]}\n---\n"
    "apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: other, namespace: shop}\n"
    "spec:\n  selector: {matchLabels: {app: other}}\n  action: DENY\n"
    "  rules: [{from: [{source: {remoteIpSets: [theirs]}}]}]\n";

class MutualTlsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "whence-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    authority_ = std::make_unique<TestAuthority>(directory_);
    authority_->Replace("ca.crt", authority_->certificate());
    authority_->Write("server", authority_->Issue(Kind::kControlPlane, "main"));
    control::Config config;
    config.data_dir = directory_ + "/data";
    config.listen_tls = control::ListenAddress::Parse("127.0.0.1:0");
    config.tls = {directory_ + "/server.crt", directory_ + "/server.key", directory_ + "/ca.crt"};
    config.trust_domain = "whence.local";
    config.log_retention = std::chrono::hours(1);
    config.log_max_bytes = 1 << 30;
    auto plane = control::ControlPlane::Start(config, clock_, logger_);
    ASSERT_TRUE(plane.ok()) << plane.status();
    plane_ = std::move(*plane);
    address_ = plane_->grpc_addresses()[0];
  }
  void TearDown() override {
    plane_.reset();
    std::filesystem::remove_all(directory_);
  }

  std::shared_ptr<grpc::Channel> Channel(
      const std::shared_ptr<grpc::ChannelCredentials>& credentials) const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address_, credentials, arguments);
  }
  std::shared_ptr<grpc::Channel> As(Kind kind, const std::string& name,
                                    const std::string& name_space = "",
                                    trust::Role role = trust::Role::kSidecar) const {
    return Channel(authority_->Client(authority_->Issue(kind, name, name_space, role)));
  }
  // Of any method: the status of a call with an empty message and no more.
  static grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                           const std::string& method) {
    grpc::GenericStub stub(channel);
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto call = stub.PrepareCall(&context, method, &queue);
    grpc::ByteBuffer empty, answer;
    grpc::Status status;
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    if (ok) call->WriteLast(empty, {}, nullptr), queue.Next(&tag, &ok);
    call->Read(&answer, nullptr);
    queue.Next(&tag, &ok);
    if (ok) context.TryCancel();  // it answers: that is all we ask of a stream that would go on
    call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    return status;
  }
  v1::ListAgentsResponse Agents() const {
    v1::ListAgentsResponse response;
    grpc::ClientContext context;
    grpc::Status status =
        v1::AgentService::NewStub(As(Kind::kViewer, "ana"))->ListAgents(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::ListRefusalsResponse Refused() const {
    v1::ListRefusalsResponse response;
    grpc::ClientContext context;
    auto stub = v1::SecurityService::NewStub(As(Kind::kViewer, "ana"));
    grpc::Status status = stub->ListRefusals(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  grpc::Status Get(const std::shared_ptr<grpc::Channel>& channel, bool wait = false) const {
    grpc::ClientContext context;
    context.set_wait_for_ready(wait);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::GetRequest request;
    request.set_kind("all");
    v1::GetResponse response;
    return v1::ConfigService::NewStub(channel)->Get(&context, request, &response);
  }
  void ApplyAsEditor() const { Apply(kDocuments); }
  void Apply(const std::string& documents) const {
    v1::ApplyRequest request;
    request.set_author("somebody else");
    request.add_files()->set_content(documents);
    v1::ApplyResponse response;
    grpc::ClientContext context;
    grpc::Status status =
        v1::ConfigService::NewStub(As(Kind::kEditor, "eve"))->Apply(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.revision(), 1u) << response.DebugString();
  }

  SystemClock clock_;
  log::Logger logger_{log::Level::kOff};
  std::string directory_, address_;
  std::unique_ptr<TestAuthority> authority_;
  std::unique_ptr<control::ControlPlane> plane_;
};

TEST_F(MutualTlsTest, SpeaksNothingOlderThanTls13AndToNobodyWithoutACertificate) {
  authority_->Write("eve", authority_->Issue(Kind::kEditor, "eve"));
  auto handshake = [this](const std::string& arguments) {
    return std::system(("cd " + directory_ +
                        " && openssl s_client -brief -alpn h2 -verify_return_error" +
                        " -CAfile ca.crt -connect " + address_ + " " + arguments +
                        " -cert eve.crt -key eve.key </dev/null >/dev/null 2>&1")
                           .c_str()) == 0;
  };
  EXPECT_TRUE(handshake("-tls1_3"));
  EXPECT_FALSE(handshake("-tls1_2"));
  TestAuthority stranger(directory_);
  security::PemPair none;
  grpc::SslCredentialsOptions only_ca;
  only_ca.pem_root_certs = authority_->certificate();
  EXPECT_EQ(Get(Channel(grpc::SslCredentials(only_ca))).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(
      Get(Channel(stranger.Client(stranger.Issue(Kind::kEditor, "eve"), authority_->certificate())))
          .error_code(),
      StatusCode::UNAVAILABLE);
  EXPECT_EQ(Get(Channel(grpc::InsecureChannelCredentials())).error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(MutualTlsTest, HasARowForEveryMethodThatItServesAndRefusesTheRest) {
  // The server itself says what it serves.
  const google::protobuf::DescriptorPool* pool = google::protobuf::DescriptorPool::generated_pool();
  google::protobuf::DynamicMessageFactory factory;
  auto stream = [&](const char* type) {
    const auto* descriptor = pool->FindMessageTypeByName(type);
    return std::unique_ptr<google::protobuf::Message>(factory.GetPrototype(descriptor)->New());
  };
  ASSERT_NE(pool->FindMessageTypeByName("grpc.reflection.v1alpha.ServerReflectionResponse"),
            nullptr);
  auto answer = stream("grpc.reflection.v1alpha.ServerReflectionResponse");
  {
    grpc::GenericStub stub(As(Kind::kViewer, "ana"));
    grpc::CompletionQueue queue;
    grpc::ClientContext context;
    auto call = stub.PrepareCall(
        &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
    void* tag = nullptr;
    bool ok = false;
    grpc::Slice slice(std::string("\x3a\x00", 2));  // list_services: ""
    grpc::ByteBuffer sent(&slice, 1), received;
    call->StartCall(nullptr), queue.Next(&tag, &ok);
    call->WriteLast(sent, {}, nullptr), queue.Next(&tag, &ok);
    call->Read(&received, nullptr), queue.Next(&tag, &ok);
    grpc::Status status;
    call->Finish(&status, nullptr), queue.Next(&tag, &ok);
    ASSERT_TRUE(status.ok()) << status.error_message();
    grpc::Slice whole;
    ASSERT_TRUE(received.DumpToSingleSlice(&whole).ok());
    ASSERT_TRUE(answer->ParseFromArray(whole.begin(), static_cast<int>(whole.size())));
  }
  std::set<std::string> served;
  std::string text = answer->DebugString();
  for (size_t at = text.find("name: \""); at != text.npos; at = text.find("name: \"", at + 1)) {
    std::string name = text.substr(at + 7, text.find('"', at + 7) - at - 7);
    const auto* service = pool->FindServiceByName(name);
    if (name == "grpc.health.v1.Health") {  // linked in without its descriptor
      served.insert({"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"});
      continue;
    }
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i) {
      served.insert("/" + name + "/" + service->method(i)->name());
    }
  }
  std::set<std::string> listed;
  for (const security::MethodRule& rule : security::AllMethods()) {
    EXPECT_TRUE(listed.insert(std::string(rule.path)).second) << "twice: " << rule.path;
  }
  EXPECT_EQ(served, listed);
  EXPECT_GT(served.size(), 10u);
  EXPECT_EQ(Call(As(Kind::kEditor, "eve"), "/whence.v1.ConfigService/Unheard").error_code(),
            StatusCode::PERMISSION_DENIED);
}

TEST_F(MutualTlsTest, LetsEveryIdentityDoWhatItsRowSaysAndRecordsTheRest) {
  struct Caller {
    const char* name;
    std::shared_ptr<grpc::Channel> channel;
    Kind kind;
  };
  const Caller callers[] = {{"agent", As(Kind::kAgent, "web", "shop"), Kind::kAgent},
                            {"viewer", As(Kind::kViewer, "ana"), Kind::kViewer},
                            {"editor", As(Kind::kEditor, "eve"), Kind::kEditor},
                            {"control", As(Kind::kControlPlane, "x"), Kind::kControlPlane}};
  uint64_t expected = 0;
  for (const Caller& caller : callers) {
    for (const security::MethodRule& rule : security::AllMethods()) {
      bool may = security::Belongs(caller.kind, rule.audience);
      if (may && rule.path.ends_with("/Watch")) continue;  // goes on for ever
      grpc::Status status = Call(caller.channel, std::string(rule.path));
      EXPECT_EQ(status.error_code() != StatusCode::PERMISSION_DENIED, may)
          << caller.name << " " << rule.path << ": " << status.error_message();
      expected += may ? 0 : 1;
    }
  }
  v1::ListRefusalsResponse refused = Refused();
  EXPECT_EQ(refused.total(), expected);
  EXPECT_EQ(static_cast<uint64_t>(refused.refusals_size()), expected);
  EXPECT_EQ(refused.refusals(0).peer(), "spiffe://whence.local/control-plane/x");
}

TEST_F(MutualTlsTest, KnowsNobodyOfAnotherTrustDomainOrWithoutAName) {
  // Its own CA signs for another domain, as it might when it is used for more than us.
  TestAuthority other(directory_, "other.local");
  authority_->Replace("ca.crt", authority_->certificate() + other.certificate());
  authority_->Write("probe", authority_->Issue(Kind::kViewer, "ana"));
  auto foreign =
      Channel(other.Client(other.Issue(Kind::kEditor, "eve"), authority_->certificate()));
  // Until the second CA is taken the handshake fails; from then on the guard answers.
  grpc::Status status;
  for (int i = 0; i < 200 && status.error_code() != StatusCode::PERMISSION_DENIED; ++i) {
    status = Get(foreign, /*wait=*/true);
  }
  EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED) << status.error_message();
  EXPECT_THAT(status.error_message(), HasSubstr("trust domain \"other.local\""));
  EXPECT_EQ(Refused().refusals(0).peer(), "spiffe://other.local/operator/eve/role/editor");
}

TEST_F(MutualTlsTest, RecordsTheCertificatesNameWhateverTheRequestClaims) {
  ApplyAsEditor();
  v1::GetRequest request;
  request.set_kind("all");
  v1::GetResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(
      v1::ConfigService::NewStub(As(Kind::kViewer, "ana"))->Get(&context, request, &response).ok());
  EXPECT_EQ(response.documents(0).author(), "eve");
}

DeltaDiscoveryRequest Subscribe(const std::string& id, const char* type,
                                const std::vector<std::string>& names) {
  DeltaDiscoveryRequest request;
  request.mutable_node()->set_id(id);
  request.set_type_url(std::string("type.googleapis.com/whence.v1.") + type);
  for (const std::string& name : names) request.add_resource_names_subscribe(name);
  return request;
}

TEST_F(MutualTlsTest, PodsThatShareACertificateAreServedAndThoseOfOthersAreNot) {
  auto channel = As(Kind::kWorkload, "web", "shop");
  auto discovery = AggregatedDiscoveryService::NewStub(channel);
  for (const std::string pod :
       {"shop/web-7d4b9c8f6-x7k2p", "shop/web-7d4b9c8f6-bcdfg", "shop/web-admin-0"}) {
    const bool is_ours = pod != "shop/web-admin-0";
    grpc::ClientContext context, log_context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto stream = discovery->DeltaAggregatedResources(&context);
    stream->Write(Subscribe(pod, "WorkloadBundle", {pod}));
    DeltaDiscoveryResponse response;
    EXPECT_EQ(stream->Read(&response), is_ours) << pod;
    if (is_ours) {
      EXPECT_EQ(response.resources(0).name(), pod);
      context.TryCancel();
    }
    EXPECT_EQ(stream->Finish().error_code(),
              is_ours ? StatusCode::CANCELLED : StatusCode::PERMISSION_DENIED);
    auto log = v1::AccessLogIngest::NewStub(channel)->Stream(&log_context);
    v1::IngestRequest request;
    request.mutable_hello()->set_agent(pod);
    log->Write(request);
    log->WritesDone();
    v1::IngestResponse ignored;
    while (log->Read(&ignored)) continue;
    EXPECT_EQ(log->Finish().error_code() != StatusCode::PERMISSION_DENIED, is_ours) << pod;
  }
  v1::ListRefusalsResponse refused = Refused();
  ASSERT_EQ(refused.total(), 2u) << refused.DebugString();
  EXPECT_EQ(refused.refusals(0).peer(), "spiffe://whence.local/ns/shop/workloads/web");
}

// What a gateway or a node agent says of clients is believed, and it is given others' keys.
TEST_F(MutualTlsTest, AnAgentHasTheRoleOfItsCertificateWhateverItsNodeSays) {
  struct Case {
    trust::Role certified;
    const char* claimed;
    bool is_served;
  };
  const Case cases[] = {
      {trust::Role::kSidecar, "gateway", false}, {trust::Role::kSidecar, "node", false},
      {trust::Role::kSidecar, "sidecar", true},  {trust::Role::kGateway, "gateway", true},
      {trust::Role::kGateway, "node", false},    {trust::Role::kGateway, "sidecar", false},
      {trust::Role::kNode, "node", true},        {trust::Role::kNode, "gateway", false}};
  uint64_t refusals = 0;
  for (const Kind kind : {Kind::kAgent, Kind::kWorkload}) {
    for (const Case& one : cases) {
      auto discovery = AggregatedDiscoveryService::NewStub(As(kind, "web", "shop", one.certified));
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
      auto stream = discovery->DeltaAggregatedResources(&context);
      DeltaDiscoveryRequest request = Subscribe("shop/web", "WorkloadBundle", {"shop/web"});
      (*request.mutable_node()->mutable_metadata()->mutable_fields())["role"].set_string_value(
          one.claimed);
      stream->Write(request);
      DeltaDiscoveryResponse response;
      EXPECT_EQ(stream->Read(&response), one.is_served)
          << static_cast<int>(one.certified) << one.claimed;
      if (one.is_served) context.TryCancel();
      EXPECT_EQ(stream->Finish().error_code(),
                one.is_served ? StatusCode::CANCELLED : StatusCode::PERMISSION_DENIED);
      refusals += one.is_served ? 0 : 1;
    }
  }
  v1::ListRefusalsResponse refused = Refused();
  EXPECT_EQ(refused.total(), refusals);
  EXPECT_THAT(refused.refusals(0).reason(), HasSubstr("role"));
}

// The records' column `role` is what the certificate says, too.
TEST_F(MutualTlsTest, AnAgentReportsInTheRoleOfItsCertificate) {
  struct Case {
    trust::Role certified;
    v1::AgentRole claimed;
    bool is_taken;
  };
  const Case cases[] = {{trust::Role::kSidecar, v1::SIDECAR, true},
                        {trust::Role::kSidecar, v1::AGENT_ROLE_UNSPECIFIED, true},
                        {trust::Role::kSidecar, v1::GATEWAY, false},
                        {trust::Role::kSidecar, v1::NODE, false},
                        {trust::Role::kGateway, v1::GATEWAY, true},
                        {trust::Role::kGateway, v1::SIDECAR, false},
                        {trust::Role::kNode, v1::NODE, true},
                        {trust::Role::kNode, v1::GATEWAY, false}};
  uint64_t refusals = 0;
  for (const Case& one : cases) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto log = v1::AccessLogIngest::NewStub(As(Kind::kWorkload, "web", "shop", one.certified))
                   ->Stream(&context);
    v1::IngestRequest request;
    request.mutable_hello()->set_agent("shop/web");
    request.mutable_hello()->set_role(one.claimed);
    log->Write(request);
    log->WritesDone();
    v1::IngestResponse ignored;
    while (log->Read(&ignored)) continue;
    EXPECT_EQ(log->Finish().error_code(),
              one.is_taken ? StatusCode::OK : StatusCode::PERMISSION_DENIED)
        << static_cast<int>(one.certified) << " " << one.claimed;
    refusals += one.is_taken ? 0 : 1;
  }
  v1::ListRefusalsResponse refused = Refused();
  EXPECT_EQ(refused.total(), refusals);
  EXPECT_THAT(refused.refusals(0).reason(), HasSubstr("hello.role"));
  EXPECT_EQ(refused.refusals(0).method(), "/whence.v1.AccessLogIngest/Stream");
}

// One agent's discovery stream, connected from 127.0.0.1, for as long as it is in scope.
class ConnectedAgent {
 public:
  ConnectedAgent(const std::shared_ptr<grpc::Channel>& channel, const std::string& id,
                 const std::string& role, const std::map<std::string, std::string>& labels,
                 const std::vector<std::string>& addresses) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    stream_ = AggregatedDiscoveryService::NewStub(channel)->DeltaAggregatedResources(&context_);
    DeltaDiscoveryRequest request = Subscribe(id, "WorkloadBundle", {id});
    auto& fields = *request.mutable_node()->mutable_metadata()->mutable_fields();
    fields["role"].set_string_value(role);
    for (const auto& [name, value] : labels) {
      (*fields["labels"].mutable_struct_value()->mutable_fields())[name].set_string_value(value);
    }
    for (const std::string& address : addresses) {
      fields["addresses"].mutable_list_value()->add_values()->set_string_value(address);
    }
    stream_->Write(request);
    Next();
  }
  ~ConnectedAgent() {
    context_.TryCancel();
    stream_->Finish();
  }
  // Waits for the bundle after this one.
  void Next() {
    DeltaDiscoveryResponse response;
    ASSERT_TRUE(stream_->Read(&response)) << stream_->Finish().error_message();
    ASSERT_EQ(response.resources_size(), 1) << response.ShortDebugString();
    bundle_.Clear();
    ASSERT_TRUE(response.resources(0).resource().UnpackTo(&bundle_));
    DeltaDiscoveryRequest ack;
    ack.set_type_url(response.type_url());
    ack.set_response_nonce(response.nonce());
    stream_->Write(ack);
  }
  const v1::TrustResource& trust() const { return bundle_.trust(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriterInterface<DeltaDiscoveryRequest, DeltaDiscoveryResponse>>
      stream_;
  v1::WorkloadBundle bundle_;
};

// Believes every workload of shop with the label app: legacy-proxy.
constexpr char kTopology[] =
    "apiVersion: whence.dev/v1\nkind: TrustTopology\nmetadata: {name: t, namespace: shop}\n"
    "spec:\n  selector: {matchLabels: {app: web}}\n"
    "  trustedProxies: {workloads: [{matchLabels: {app: legacy-proxy}}]}\n";

TEST_F(MutualTlsTest, AnAgentDoesNotBecomeATrustedProxyByItsOwnWord) {
  Apply(kTopology);
  const std::map<std::string, std::string> proxy = {{"app", "legacy-proxy"}};
  // Its own address and another's, under a label that nobody gave it.
  ConnectedAgent evil(As(Kind::kAgent, "evil", "shop"), "shop/evil", "sidecar", proxy,
                      {"127.0.0.1", "10.9.9.9"});
  ConnectedAgent web(As(Kind::kAgent, "web", "shop"), "shop/web", "sidecar", {{"app", "web"}},
                     {"10.0.0.2"});
  EXPECT_THAT(web.trust().trusted_workloads(), IsEmpty());
  v1::ListAgentsResponse agents = Agents();
  ASSERT_EQ(agents.agents_size(), 2);
  EXPECT_THAT(agents.agents(0).addresses(), ElementsAre("127.0.0.1", "10.9.9.9"));
  EXPECT_THAT(agents.agents(0).unproven_addresses(), ElementsAre("10.9.9.9"));
  EXPECT_THAT(agents.agents(0).caveats(), ElementsAre(HasSubstr("TrustTopology shop/t")));
}

TEST_F(MutualTlsTest, AnAgentIsTrustedForTheLabelsAndAddressesOfItsCertificate) {
  Apply(kTopology);
  const std::map<std::string, std::string> proxy = {{"app", "legacy-proxy"}};
  ConnectedAgent legacy(Channel(authority_->Client(authority_->Issue(
                            Kind::kWorkload, "legacy", "shop", trust::Role::kSidecar,
                            {"2001:db8::7"}, {"app=legacy-proxy"}))),
                        "shop/legacy-0", "sidecar", proxy,
                        {"127.0.0.1", "2001:db8::7", "10.9.9.9"});
  ConnectedAgent web(As(Kind::kAgent, "web", "shop"), "shop/web", "sidecar", {{"app", "web"}},
                     {"10.0.0.2"});
  EXPECT_THAT(web.trust().trusted_workloads(), ElementsAre("127.0.0.1", "2001:db8::7"));
  EXPECT_THAT(Agents().agents(0).caveats(), ElementsAre(HasSubstr("at addresses")));
}

// One that has proven its address keeps it, whoever else says to have it.
TEST_F(MutualTlsTest, AnAgentDoesNotTakeTheAddressThatAnotherProves) {
  ConnectedAgent gateway(As(Kind::kAgent, "gw", "edge", trust::Role::kGateway), "edge/gw",
                         "gateway", {}, {"127.0.0.1", "10.1.1.1"});
  ConnectedAgent evil(Channel(authority_->Client(authority_->Issue(
                          Kind::kAgent, "evil", "shop", trust::Role::kSidecar, {"10.1.1.1"}))),
                      "shop/evil", "sidecar", {}, {"10.1.1.1"});
  ConnectedAgent web(As(Kind::kAgent, "web", "shop"), "shop/web", "sidecar", {}, {"10.0.0.2"});
  EXPECT_THAT(web.trust().mesh_gateways(), ElementsAre("127.0.0.1"));
  EXPECT_THAT(web.trust().unproven_gateways(), IsEmpty());
  // The other way round: the claim comes after the proof, and is recorded.
  ConnectedAgent other(As(Kind::kAgent, "gw2", "edge", trust::Role::kGateway), "edge/gw2",
                       "gateway", {}, {"10.1.1.1", "10.2.2.2"});
  web.Next();
  EXPECT_THAT(web.trust().mesh_gateways(), ElementsAre("10.2.2.2", "127.0.0.1"));
  EXPECT_THAT(web.trust().unproven_gateways(), ElementsAre("10.2.2.2"));
  v1::ListRefusalsResponse refused = Refused();
  ASSERT_EQ(refused.total(), 1u) << refused.DebugString();
  EXPECT_THAT(refused.refusals(0).reason(), HasSubstr("address 10.1.1.1 of edge/gw2"));
}

TEST_F(MutualTlsTest, Fault16AnAgentIsItselfOnlyAndSeesItsOwnOnly) {
  ApplyAsEditor();
  auto channel = As(Kind::kAgent, "web", "shop");
  auto discovery = AggregatedDiscoveryService::NewStub(channel);
  {  // Another's node id.
    grpc::ClientContext context;
    auto stream = discovery->DeltaAggregatedResources(&context);
    stream->Write(Subscribe("shop/other", "WorkloadBundle", {"shop/other"}));
    DeltaDiscoveryResponse response;
    EXPECT_FALSE(stream->Read(&response));
    grpc::Status status = stream->Finish();
    EXPECT_EQ(status.error_code(), StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr("spiffe://whence.local/ns/shop/workload/web"));
  }
  {  // Another's bundle and set, by name and by wildcard.
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    auto stream = discovery->DeltaAggregatedResources(&context);
    stream->Write(Subscribe("shop/web", "WorkloadBundle", {"*", "shop/other"}));
    DeltaDiscoveryResponse response;
    ASSERT_TRUE(stream->Read(&response)) << stream->Finish().error_message();
    ASSERT_EQ(response.resources_size(), 1);
    EXPECT_EQ(response.resources(0).name(), "shop/web");
    ASSERT_EQ(response.resource_errors_size(), 1);
    EXPECT_EQ(response.resource_errors(0).resource_name().name(), "shop/other");
    EXPECT_EQ(response.resource_errors(0).error_detail().code(), StatusCode::PERMISSION_DENIED);
    DeltaDiscoveryRequest ack;
    ack.set_type_url(response.type_url());
    ack.set_response_nonce(response.nonce());
    stream->Write(ack);
    stream->Write(Subscribe("shop/web", "IpSetResource", {"shop/theirs", "shop/never-was"}));
    ASSERT_TRUE(stream->Read(&response)) << stream->Finish().error_message();
    EXPECT_THAT(response.resources(), IsEmpty());
    EXPECT_EQ(response.removed_resources_size(), 2);
    ASSERT_EQ(response.resource_errors_size(), 1);
    EXPECT_EQ(response.resource_errors(0).resource_name().name(), "shop/theirs");
    context.TryCancel();
    stream->Finish();
  }
  {  // Another's access records.
    grpc::ClientContext context;
    auto stream = v1::AccessLogIngest::NewStub(channel)->Stream(&context);
    v1::IngestRequest request;
    request.mutable_hello()->set_agent("shop/other");
    stream->Write(request);
    v1::IngestResponse response;
    EXPECT_FALSE(stream->Read(&response));
    EXPECT_EQ(stream->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  }
  {  // Another's access records, as Envoy sends them.
    using envoy::service::accesslog::v3::AccessLogService;
    grpc::ClientContext context;
    envoy::service::accesslog::v3::StreamAccessLogsResponse response;
    auto stream = AccessLogService::NewStub(channel)->StreamAccessLogs(&context, &response);
    envoy::service::accesslog::v3::StreamAccessLogsMessage message;
    message.mutable_identifier()->mutable_node()->set_id("sidecar~10.1.1.1~other.shop~cluster");
    stream->Write(message);
    EXPECT_EQ(stream->Finish().error_code(), StatusCode::PERMISSION_DENIED);
  }
  v1::ListRefusalsResponse refused = Refused();
  ASSERT_EQ(refused.total(), 5u) << refused.DebugString();
  for (const v1::RefusedCall& call : refused.refusals()) {
    EXPECT_EQ(call.peer(), "spiffe://whence.local/ns/shop/workload/web");
    EXPECT_THAT(call.address(), HasSubstr("127.0.0.1"));
  }
}

TEST_F(MutualTlsTest, NobodyHoldsThePlacesOfOthersByStreamsWithoutANode) {
  auto discovery = AggregatedDiscoveryService::NewStub(As(Kind::kAgent, "web", "shop"));
  constexpr size_t kPlaces = 16;
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<
      grpc::ClientReaderWriterInterface<DeltaDiscoveryRequest, DeltaDiscoveryResponse>>>
      streams;
  const auto open = [&] {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    contexts.back()->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    streams.push_back(discovery->DeltaAggregatedResources(contexts.back().get()));
  };
  for (size_t i = 0; i <= kPlaces; ++i) open();
  // One too many: which one is the server's choice, as they arrive.
  DeltaDiscoveryResponse response;
  v1::ListRefusalsResponse refused = Refused();
  for (int i = 0; i < 1000 && refused.total() == 0; ++i) refused = Refused();
  ASSERT_EQ(refused.total(), 1u);
  EXPECT_THAT(refused.refusals(0).reason(), HasSubstr("does not say which node"));
  // Another certificate has places of its own.
  auto other = AggregatedDiscoveryService::NewStub(As(Kind::kAgent, "other", "shop"));
  grpc::ClientContext context;
  auto stream = other->DeltaAggregatedResources(&context);
  stream->Write(Subscribe("shop/other", "WorkloadBundle", {"shop/other"}));
  EXPECT_TRUE(stream->Read(&response));
  context.TryCancel();
  stream->Finish();
  for (size_t i = 0; i < streams.size(); ++i) {
    contexts[i]->TryCancel();
    streams[i]->Finish();
  }
  // And theirs are free again when the streams are over.
  for (int i = 0; i < 1000; ++i) {
    grpc::ClientContext again;
    auto mine = discovery->DeltaAggregatedResources(&again);
    mine->Write(Subscribe("shop/web", "WorkloadBundle", {"shop/web"}));
    const bool is_served = mine->Read(&response);
    again.TryCancel();
    mine->Finish();
    if (is_served) return;
  }
  FAIL() << "no place became free";
}

TEST_F(MutualTlsTest, Fault17TakesNewCertificatesWhileItRunsAndOldAndNewCaOverlap) {
  auto old_client = As(Kind::kViewer, "ana");
  ASSERT_TRUE(Get(old_client).ok());
  TestAuthority next(directory_);
  std::string both = authority_->certificate() + next.certificate();
  auto new_client = Channel(next.Client(next.Issue(Kind::kViewer, "ana"), both));
  EXPECT_EQ(Get(new_client).error_code(), StatusCode::UNAVAILABLE);
  authority_->Replace("ca.crt", both);
  grpc::Status status = Get(new_client, /*wait=*/true);
  EXPECT_TRUE(status.ok()) << status.error_message();
  // The server's own, of the new CA: a client that trusts only that one gets through in the end.
  next.Write("server", next.Issue(Kind::kControlPlane, "main"));
  auto new_only = Channel(next.Client(next.Issue(Kind::kViewer, "ana")));
  status = Get(new_only, /*wait=*/true);
  EXPECT_TRUE(status.ok()) << status.error_message();
  // The old CA goes: its certificates are refused for new connections; the one that is there stays.
  authority_->Replace("ca.crt", next.certificate());
  bool refused = false;
  for (int i = 0; i < 300 && !refused; ++i) {
    auto again = Channel(authority_->Client(authority_->Issue(Kind::kViewer, "ana"), both));
    refused = Get(again).error_code() == StatusCode::UNAVAILABLE;
  }
  EXPECT_TRUE(refused);
  EXPECT_TRUE(Get(old_client).ok());
}

}  // namespace
}  // namespace whence
