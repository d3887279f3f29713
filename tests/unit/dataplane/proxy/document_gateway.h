// A gateway on loopback that runs what documents say.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_PROXY_DOCUMENT_GATEWAY_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_PROXY_DOCUMENT_GATEWAY_H_

#include <map>
#include <string>
#include <vector>

#include "common/bundle/inventory.h"
#include "tests/unit/dataplane/proxy/gateway_fixture.h"

namespace whence::proxy {

class DocumentGatewayTest : public GatewayTest {
 protected:
  DocumentGatewayTest();

  // A connected agent with an address on loopback.
  void AddWorkload(const std::string& name, std::map<std::string, std::string> labels,
                   const std::string& address);
  std::shared_ptr<const snapshot::Snapshot> FromYaml(const std::string& yaml) const;
  // Gateway "g" with the fixture's two ports, and a VirtualService with `spec` (`http: …`, indented
  // by two).
  std::string Routes(const std::string& spec) const;
  void StartYaml(const std::string& yaml);
  // The same for the running one; returns when all workers have it.
  void PublishYaml(const std::string& yaml);

  // One request on a connection of its own, and its whole answer.
  std::string Ask(const std::string& target, const std::string& fields = "",
                  const std::string& method = "GET", const std::string& body = "") const;
  // "host: 127.0.0.1, port: {number: N}" for a destination.
  static std::string At(const Origin& origin);

  std::vector<bundle::Workload> inventory_;
};

}  // namespace whence::proxy

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_PROXY_DOCUMENT_GATEWAY_H_
