// All documents of one revision, indexed for building bundles.
#ifndef WHENCE_COMMON_BUNDLE_CONFIG_VIEW_H_
#define WHENCE_COMMON_BUNDLE_CONFIG_VIEW_H_

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "whence/v1/documents.pb.h"

namespace whence::bundle {

// (namespace, name); maps by it are in the byte order in which documents are always visited, so
// that what is built does not depend on the order in which they were applied.
using DocumentName = std::pair<std::string, std::string>;

// Immutable after construction; safe from any thread.
class ConfigView {
 public:
  using Index = std::map<DocumentName, const v1::Document*>;

  ConfigView() = default;
  // REQUIRES: documents that document::Validate found no fault with. Of equal names the last holds.
  explicit ConfigView(std::vector<v1::Document> documents);
  ConfigView(const ConfigView&) = delete;
  ConfigView& operator=(const ConfigView&) = delete;

  const Index& topologies() const { return topologies_; }
  const Index& policies() const { return policies_; }
  const Index& ip_sets() const { return ip_sets_; }
  const Index& gateways() const { return gateways_; }
  const Index& virtual_services() const { return virtual_services_; }
  const Index& services() const { return services_; }
  const Index& destination_rules() const { return destination_rules_; }
  const Index& service_entries() const { return service_entries_; }
  // The one Mesh document's settings, or all defaults.
  const v1::MeshSpec& mesh() const { return mesh_; }
  // Policies and topologies of this namespace apply in every namespace.
  const std::string& root_namespace() const { return root_namespace_; }

 private:
  std::vector<v1::Document> documents_;
  Index topologies_, policies_, ip_sets_, gateways_, virtual_services_, services_,
      destination_rules_, service_entries_;
  v1::MeshSpec mesh_;
  std::string root_namespace_ = "istio-system";
};

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_CONFIG_VIEW_H_
