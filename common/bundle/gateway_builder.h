// Gateways, VirtualServices and Services -> a gateway's listeners and clusters.
#ifndef WHENCE_COMMON_BUNDLE_GATEWAY_BUILDER_H_
#define WHENCE_COMMON_BUNDLE_GATEWAY_BUILDER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bundle/config_view.h"
#include "common/bundle/inventory.h"
#include "whence/v1/resources.pb.h"

namespace whence::bundle {

// Fills `listeners` and `clusters`. A Gateway document concerns every workload with the labels of
// its selector, in whatever namespace, as in Istio. `inventory` sorted.
void BuildListeners(const ConfigView& view, const std::vector<const Workload*>& inventory,
                    const Workload& self, v1::WorkloadBundle* bundle);

// Whether a Gateway document has that workload listen on that port.
bool ListensOn(const ConfigView& view, const Workload& workload, uint32_t port);

// The hosts that both patterns ("a.b", "*.b", "*") hold, as one pattern, in lower case; nullopt:
// none.
std::optional<std::string> Intersection(std::string_view a, std::string_view b);

}  // namespace whence::bundle

#endif  // WHENCE_COMMON_BUNDLE_GATEWAY_BUILDER_H_
