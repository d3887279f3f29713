// What single documents must mean, beyond the schema.
#ifndef WHENCE_COMMON_DOCUMENT_CHECK_H_
#define WHENCE_COMMON_DOCUMENT_CHECK_H_

#include <span>
#include <string>
#include <string_view>

#include "common/document/document.h"
#include "common/document/fault_sink.h"
#include "common/document/values.h"

namespace whence::document {

// What the checks of all kinds share: the document, and where to complain.
class CheckContext {
 public:
  CheckContext(const ParsedDocument& parsed, FaultSink* sink, bool ignore_unsupported)
      : parsed_(parsed), sink_(*sink), ignore_unsupported_(ignore_unsupported) {}

  const v1::Document& document() const { return parsed_.document; }

  // Silent if something at or below `path` could not be read: that has been said already.
  void Fault(const std::string& path, std::string message);
  void Warn(const std::string& path, std::string message);
  // Understood, but not acted on yet: a fault, or a warning if the operator said so. The warning
  // ends with `consequence`: what is kept all the same must not be called ignored.
  void Unsupported(const std::string& path, std::string message,
                   std::string_view consequence = "it is ignored");
  // A list that must not be empty, but may have become so by what is ignored: then a warning.
  void MissingUnlessLeftOut(const std::string& path, std::string message, std::string left_out);
  void Expect(const Complaint& complaint, const std::string& path) {
    if (complaint) Fault(path, *complaint);
  }

  void CheckSelector(const google::protobuf::Map<std::string, std::string>& labels,
                     const std::string& path);
  // Each a CIDR; warns of host bits, which mean more addresses than they seem to.
  void CheckCidrs(const google::protobuf::RepeatedPtrField<std::string>& cidrs,
                  const std::string& path);
  // One of `known`, or nothing.
  void CheckOneOf(const std::string& value, std::span<const std::string_view> known,
                  const std::string& path);
  void CheckEach(const google::protobuf::RepeatedPtrField<std::string>& values,
                 const std::string& path, Complaint (*check)(std::string_view));

 private:
  const ParsedDocument& parsed_;
  FaultSink& sink_;
  const bool ignore_unsupported_;
};

std::string Item(const std::string& path, int index);  // "rules[3]"

void CheckMetadata(CheckContext& context);
void CheckTrustTopology(const v1::TrustTopologySpec& spec, CheckContext& context);
void CheckIpPolicy(const v1::IpPolicySpec& spec, CheckContext& context);
void CheckIpSet(const v1::IpSetSpec& spec, CheckContext& context);
void CheckMesh(const v1::MeshSpec& spec, CheckContext& context);
void CheckGateway(const v1::GatewaySpec& spec, CheckContext& context);
void CheckVirtualService(const v1::VirtualServiceSpec& spec, CheckContext& context);
void CheckDestinationRule(const v1::DestinationRuleSpec& spec, CheckContext& context);
void CheckServiceEntry(const v1::ServiceEntrySpec& spec, CheckContext& context);
void CheckService(const v1::ServiceSpec& spec, CheckContext& context);

// The one of the above that fits.
void CheckSpec(CheckContext& context);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_CHECK_H_
