// From a host to the DestinationRule that holds for it.
#ifndef WHENCE_COMMON_BUNDLE_DESTINATION_RULES_H_
#define WHENCE_COMMON_BUNDLE_DESTINATION_RULES_H_

#include <string>

#include "common/bundle/config_view.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

using LabelMap = google::protobuf::Map<std::string, std::string>;

// As in Istio: rules of the gateway's own namespace come before those of the host's, of the
// document that routes to it, and of the root namespace; the longest host wins. Null: none.
const v1::DestinationRuleSpec* FindDestinationRule(const ConfigView& view, const std::string& host,
                                                   const std::string& space,
                                                   const std::string& gateway_space);

// The labels of a subset; null: the rule has none of that name.
const LabelMap* SubsetLabels(const v1::DestinationRuleSpec* rule, const std::string& subset);

// Writes the policy that holds for `port` of `subset` (empty: none) into the cluster.
void ApplyTrafficPolicy(const v1::DestinationRuleSpec& rule, const std::string& subset,
                        uint32_t port, v1::ClusterResource* cluster);

// "web" of namespace shop is "web.shop.svc.cluster.local"; hosts outside of the cluster are what
// they are.
std::string CanonicalHost(const std::string& host, const std::string& space);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_DESTINATION_RULES_H_
