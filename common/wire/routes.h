// Routes of a listener: v1::RouteResource -> snapshot::Route.
#ifndef WHENCE_COMMON_WIRE_ROUTES_H_
#define WHENCE_COMMON_WIRE_ROUTES_H_

#include <map>
#include <string>

#include "common/snapshot/routing.h"
#include "common/wire/faults.h"
#include "whence/v1/resources.pb.h"

namespace whence::wire {

// Thread-compatible. References outlive it.
class RouteDecoder {
 public:
  // `clusters`: their places, by name.
  RouteDecoder(const std::map<std::string, uint32_t>& clusters, Faults* faults)
      : clusters_(clusters), faults_(*faults) {}

  // Notes every fault below `path`; what it gives is of use only if there was none.
  snapshot::Route Decode(const v1::RouteResource& resource, const std::string& path);
  snapshot::TcpRoute DecodeTcp(const v1::TcpRouteResource& resource, const std::string& path);
  std::optional<uint32_t> FindCluster(const std::string& name, const std::string& path);

 private:
  std::shared_ptr<const snapshot::Regex> CompileRegex(const std::string& text,
                                                      const std::string& path);
  snapshot::TextMatch DecodeText(const v1::StringMatch& match, const std::string& path);
  std::vector<snapshot::HeaderMatch> DecodeHeaders(
      const google::protobuf::Map<std::string, v1::StringMatch>& headers, const std::string& path);
  std::optional<net::CidrSet> DecodeCidrs(
      const google::protobuf::RepeatedPtrField<std::string>& cidrs, const std::string& path);
  std::shared_ptr<const snapshot::Conditions> DecodeConditions(const v1::HttpMatch& match,
                                                               const std::string& path);
  std::shared_ptr<const snapshot::RouteAction> DecodeAction(const v1::RouteResource& resource,
                                                            const std::string& path);
  void DecodeDestinations(const google::protobuf::RepeatedPtrField<v1::WeightedCluster>& clusters,
                          const v1::Headers& headers, const std::string& path,
                          std::vector<snapshot::Destination>* destinations, uint32_t* shares);
  snapshot::Rewrite DecodeRewrite(const v1::HttpRewrite& rewrite, const std::string& path);
  snapshot::Redirect DecodeRedirect(const v1::HttpRedirect& redirect, const std::string& path);
  snapshot::RetryPolicy DecodeRetries(const v1::HttpRetry& retries, const std::string& path);

  const std::map<std::string, uint32_t>& clusters_;
  Faults& faults_;
};

}  // namespace whence::wire

#endif  // WHENCE_COMMON_WIRE_ROUTES_H_
