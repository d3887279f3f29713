#include "tests/unit/dataplane/proxy/document_gateway.h"

#include "common/bundle/bundle_builder.h"
#include "common/document/document.h"
#include "common/wire/snapshot_decoder.h"

namespace whence::proxy {

DocumentGatewayTest::DocumentGatewayTest() {
  bundle::Workload& self = inventory_.emplace_back();
  self.namespace_ = "n";
  self.name = "gw";
  self.labels = {{"app", "gateway"}};
  self.role = trust::Role::kGateway;
  options_.workers = 1;
}

void DocumentGatewayTest::AddWorkload(const std::string& name,
                                      std::map<std::string, std::string> labels,
                                      const std::string& address) {
  bundle::Workload& workload = inventory_.emplace_back();
  workload.namespace_ = "n";
  workload.name = name;
  workload.labels = std::move(labels);
  workload.addresses = {*net::IpAddress::Parse(address)};
}

std::shared_ptr<const snapshot::Snapshot> DocumentGatewayTest::FromYaml(
    const std::string& yaml) const {
  document::ParseResult parsed = document::Parse("f.yaml", yaml, {});
  for (const v1::Fault& fault : parsed.faults) ADD_FAILURE() << document::FaultText(fault);
  std::vector<v1::Document> documents;
  for (auto& one : parsed.documents) documents.push_back(std::move(one.document));
  const bundle::ConfigView view(std::move(documents));
  const v1::WorkloadBundle built = bundle::Build(view, inventory_, inventory_.front());
  auto snapshot = wire::Decode(built, "v", {});
  EXPECT_TRUE(snapshot.ok()) << snapshot.status() << built.ShortDebugString();
  return snapshot.ok() ? *snapshot : nullptr;
}

std::string DocumentGatewayTest::Routes(const std::string& spec) const {
  return "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: n}\n"
         "spec:\n  selector: {app: gateway}\n  servers:\n"
         "  - {port: {number: " +
         std::to_string(http_port_) +
         ", protocol: HTTP}, hosts: [\"*\"]}\n"
         "  - {port: {number: " +
         std::to_string(tcp_port_) +
         ", protocol: TCP}, hosts: [\"*\"]}\n"
         "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
         "metadata: {name: v, namespace: n}\nspec:\n  hosts: [\"*\"]\n  gateways: [g]\n" +
         spec;
}

void DocumentGatewayTest::StartYaml(const std::string& yaml) {
  std::vector<access_log::Ring*> rings;
  for (int i = 0; i < options_.workers; ++i) {
    rings_.push_back(std::make_unique<access_log::Ring>());
    rings.push_back(rings_.back().get());
  }
  auto plane = DataPlane::Start(options_, FromYaml(yaml), rings);
  ASSERT_TRUE(plane.ok()) << plane.status();
  plane_ = *std::move(plane);
}

void DocumentGatewayTest::PublishYaml(const std::string& yaml) {
  AwaitCounter(Counter::kSnapshots, static_cast<uint64_t>(options_.workers));
  const uint64_t before = Count(Counter::kSnapshots);
  const absl::Status published = plane_->Publish(FromYaml(yaml));
  ASSERT_TRUE(published.ok()) << published;
  AwaitCounter(Counter::kSnapshots, before + static_cast<uint64_t>(options_.workers));
}

std::string DocumentGatewayTest::Ask(const std::string& target, const std::string& fields,
                                     const std::string& method, const std::string& body) const {
  WireEnd client = ConnectHttp();
  std::string request = method + " " + target + " HTTP/1.1\r\nHost: shop.example\r\n" + fields;
  if (!body.empty()) request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  client.Send(request + "Connection: close\r\n\r\n" + body);
  return client.ReadToEnd();
}

std::string DocumentGatewayTest::At(const Origin& origin) {
  return "destination: {host: " + origin.address().ip.ToString() +
         ", port: {number: " + std::to_string(origin.address().port) + "}}";
}

}  // namespace whence::proxy
