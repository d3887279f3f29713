#include "common/bundle/config_view.h"

namespace whence::bundle {

ConfigView::ConfigView(std::vector<v1::Document> documents) : documents_(std::move(documents)) {
  for (const v1::Document& document : documents_) {
    const DocumentName name(document.metadata().namespace_(), document.metadata().name());
    switch (document.spec_case()) {
      case v1::Document::kTrustTopology:
        topologies_[name] = &document;
        break;
      case v1::Document::kIpPolicy:
        policies_[name] = &document;
        break;
      case v1::Document::kIpSet:
        ip_sets_[name] = &document;
        break;
      case v1::Document::kMesh:
        mesh_ = document.mesh();
        break;
      case v1::Document::kGateway:
        gateways_[name] = &document;
        break;
      case v1::Document::kVirtualService:
        virtual_services_[name] = &document;
        break;
      case v1::Document::kDestinationRule:
        destination_rules_[name] = &document;
        break;
      case v1::Document::kServiceEntry:
        service_entries_[name] = &document;
        break;
      case v1::Document::kService:
        services_[name] = &document;
        break;
      case v1::Document::SPEC_NOT_SET:
        break;
    }
  }
  if (!mesh_.root_namespace().empty()) root_namespace_ = mesh_.root_namespace();
}

}  // namespace whence::bundle
