// Parts of the check of a VirtualService.
#ifndef WHENCE_COMMON_DOCUMENT_CHECK_ROUTES_H_
#define WHENCE_COMMON_DOCUMENT_CHECK_ROUTES_H_

#include <chrono>
#include <optional>
#include <string>

#include "common/document/check.h"

namespace whence::document {

// check_http_route.cc
void CheckHttpRoute(const v1::HttpRoute& route, const std::string& path, CheckContext& context);
// A duration, if it is given; nullopt: none, or a fault.
std::optional<std::chrono::milliseconds> CheckTimeout(const std::string& text,
                                                      const std::string& path,
                                                      CheckContext& context);
void CheckHeaders(const v1::Headers& headers, const std::string& path, CheckContext& context);

// check_routing.cc
Complaint CheckDestinationHost(std::string_view text);
void CheckDestinations(const google::protobuf::RepeatedPtrField<v1::RouteDestination>& route,
                       const std::string& path, CheckContext& context);
void CheckMatchGateways(const google::protobuf::RepeatedPtrField<std::string>& gateways,
                        const std::string& path, CheckContext& context);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_CHECK_ROUTES_H_
