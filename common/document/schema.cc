#include "common/document/schema.h"

#include <algorithm>
#include <span>

#include "common/base/strings.h"

namespace whence::document {
namespace {

namespace pb = google::protobuf;
using std::string_view;

// Fields that narrow what a policy, a listener or a route is for take it with them.
constexpr string_view kNoPolicy =
    "the whole policy is left out: it keeps nobody out, and a version applied before stays";
constexpr string_view kNoServer = "the server is left out: nothing listens for it";
constexpr string_view kNoMatch = "the match is left out";
constexpr string_view kPlaintext = "it is ignored: connections to endpoints are not encrypted";

// One row per message of ours: the fields that Istio's message has and ours has not.
constexpr UnsupportedField kPolicy[] = {{"targetRef", Loss::kDocument, kNoPolicy},
                                        {"targetRefs", Loss::kDocument, kNoPolicy},
                                        "provider"};
constexpr UnsupportedField kGatewayServer[] = {
    {"tls", Loss::kItem, kNoServer}, {"bind", Loss::kItem, kNoServer}, "defaultEndpoint"};
constexpr UnsupportedField kVirtualService[] = {"tls", "exportTo"};
constexpr UnsupportedField kHttpRoute[] = {
    // Of a fault's parts an abort keeps requests out.
    "delegate",      {"fault", Loss::kForbidden, "it is ignored", "abort"},
    "mirror",        "mirrors",
    "mirrorPercent", "mirrorPercentage",
    "corsPolicy"};
constexpr UnsupportedField kHttpMatch[] = {{"sourceLabels", Loss::kItem, kNoMatch},
                                           {"sourceNamespace", Loss::kItem, kNoMatch},
                                           "statPrefix"};
constexpr UnsupportedField kHttpRetry[] = {"retryRemoteLocalities", "retryIgnorePreviousHosts",
                                           "backoff"};
constexpr UnsupportedField kDirectBody[] = {"bytes"};
constexpr UnsupportedField kTcpMatch[] = {{"destinationSubnets", Loss::kItem, kNoMatch},
                                          {"sourceSubnet", Loss::kItem, kNoMatch},
                                          {"sourceLabels", Loss::kItem, kNoMatch},
                                          {"sourceNamespace", Loss::kItem, kNoMatch}};
constexpr UnsupportedField kDestinationRule[] = {"exportTo", "workloadSelector"};
constexpr UnsupportedField kTrafficPolicy[] = {
    {"tls", Loss::kField, kPlaintext}, "tunnel", "proxyProtocol", "retryBudget"};
constexpr UnsupportedField kPortSettings[] = {{"tls", Loss::kField, kPlaintext}};
constexpr UnsupportedField kLoadBalancer[] = {"localityLbSetting", "warmupDurationSecs", "warmup"};
constexpr UnsupportedField kConsistentHash[] = {"minimumRingSize", "ringHash"};
constexpr UnsupportedField kCookie[] = {"attributes"};
constexpr UnsupportedField kTcpPool[] = {"maxConnectionDuration", "idleTimeout"};
constexpr UnsupportedField kHttpPool[] = {"http2MaxRequests", "maxRetries", "h2UpgradePolicy",
                                          "useClientProtocol", "maxConcurrentStreams"};
constexpr UnsupportedField kOutlier[] = {"consecutiveErrors", "splitExternalLocalOriginErrors",
                                         "consecutiveLocalOriginFailures", "minHealthPercent"};
constexpr UnsupportedField kServiceEntry[] = {"addresses", "exportTo", "subjectAltNames",
                                              "workloadSelector"};
constexpr UnsupportedField kEntryEndpoint[] = {"network", "locality", "serviceAccount"};
constexpr UnsupportedField kService[] = {"externalName"};

template <typename Field>
struct Row {
  string_view message;
  std::span<const Field> fields;
};

constexpr Row<UnsupportedField> kUnsupported[] = {
    {"whence.v1.IpPolicySpec", kPolicy},
    {"whence.v1.GatewayServer", kGatewayServer},
    {"whence.v1.VirtualServiceSpec", kVirtualService},
    {"whence.v1.HttpRoute", kHttpRoute},
    {"whence.v1.HttpMatch", kHttpMatch},
    {"whence.v1.HttpRetry", kHttpRetry},
    {"whence.v1.HttpDirectResponse.Body", kDirectBody},
    {"whence.v1.TcpRoute.Match", kTcpMatch},
    {"whence.v1.DestinationRuleSpec", kDestinationRule},
    {"whence.v1.TrafficPolicy", kTrafficPolicy},
    {"whence.v1.TrafficPolicy.PortSettings", kPortSettings},
    {"whence.v1.LoadBalancer", kLoadBalancer},
    {"whence.v1.ConsistentHash", kConsistentHash},
    {"whence.v1.ConsistentHash.Cookie", kCookie},
    {"whence.v1.ConnectionPool.Tcp", kTcpPool},
    {"whence.v1.ConnectionPool.Http", kHttpPool},
    {"whence.v1.OutlierDetection", kOutlier},
    {"whence.v1.ServiceEntrySpec", kServiceEntry},
    {"whence.v1.ServiceEntrySpec.Endpoint", kEntryEndpoint},
    {"whence.v1.ServiceSpec", kService},
};

constexpr string_view kServerMeta[] = {"creationTimestamp", "uid",
                                       "generation",        "managedFields",
                                       "ownerReferences",   "selfLink",
                                       "finalizers",        "generateName",
                                       "deletionTimestamp", "deletionGracePeriodSeconds"};
// How the cluster reaches the Service from outside, and details of kube-proxy: Whence only takes
// names, selectors and ports from it.
constexpr string_view kServiceDetail[] = {"externalIPs",
                                          "loadBalancerIP",
                                          "loadBalancerSourceRanges",
                                          "loadBalancerClass",
                                          "sessionAffinityConfig",
                                          "publishNotReadyAddresses",
                                          "allocateLoadBalancerNodePorts",
                                          "healthCheckNodePort",
                                          "trafficDistribution"};

constexpr Row<string_view> kDropped[] = {
    {"whence.v1.ObjectMeta", kServerMeta},
    {"whence.v1.ServiceSpec", kServiceDetail},
};

constexpr string_view kUnsupportedKinds[] = {
    "Sidecar", "EnvoyFilter", "WorkloadEntry", "WorkloadGroup", "ProxyConfig", "PeerAuthentication",
    "RequestAuthentication", "Telemetry", "WasmPlugin",
    // Kubernetes' own, which stand beside ours in the manifests of applications.
    "Namespace", "Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob",
    "ConfigMap", "Secret", "ServiceAccount", "Ingress", "IngressClass", "NetworkPolicy",
    "Endpoints", "EndpointSlice", "HorizontalPodAutoscaler", "PodDisruptionBudget", "Role",
    "RoleBinding", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "HTTPRoute",
    "GatewayClass", "TCPRoute", "ReferenceGrant"};

// Of our own messages, and not for documents: how a large set is kept.
bool IsHidden(const pb::FieldDescriptor& field) {
  return field.full_name() == "whence.v1.IpSetSpec.packed";
}

template <typename Field>
std::span<const Field> FieldsOf(std::span<const Row<Field>> rows, const pb::Descriptor& message) {
  for (const Row<Field>& row : rows) {
    if (row.message == message.full_name()) return row.fields;
  }
  return {};
}

// Protobuf wants enum values unique per scope, so this one bears another name there.
constexpr string_view kNoNormalization = "NO_NORMALIZATION";

bool IsWritable(const pb::EnumValueDescriptor& value) {
  const string_view name = value.name();
  constexpr string_view kSuffix = "_UNSPECIFIED";
  return name.size() < kSuffix.size() || name.substr(name.size() - kSuffix.size()) != kSuffix;
}

}  // namespace

const pb::FieldDescriptor* FindField(const pb::Descriptor& message, string_view name) {
  for (int i = 0; i < message.field_count(); ++i) {
    const pb::FieldDescriptor& field = *message.field(i);
    if (field.json_name() == name && !IsHidden(field)) return &field;
  }
  return nullptr;
}

std::vector<string_view> FieldNames(const pb::Descriptor& message) {
  std::vector<string_view> names;
  for (int i = 0; i < message.field_count(); ++i) {
    if (!IsHidden(*message.field(i))) names.push_back(message.field(i)->json_name());
  }
  return names;
}

const UnsupportedField* FindUnsupportedField(const pb::Descriptor& message, string_view name) {
  for (const UnsupportedField& field : FieldsOf<UnsupportedField>(kUnsupported, message)) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

bool IsDroppedField(const pb::Descriptor& message, string_view name) {
  const std::span<const string_view> names = FieldsOf<string_view>(kDropped, message);
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool IsUnsupportedKind(string_view kind) {
  return std::find(std::begin(kUnsupportedKinds), std::end(kUnsupportedKinds), kind) !=
         std::end(kUnsupportedKinds);
}

string_view EnumValueName(const pb::EnumValueDescriptor& value) {
  return value.name() == kNoNormalization ? string_view("NONE") : string_view(value.name());
}

const pb::EnumValueDescriptor* FindEnumValue(const pb::EnumDescriptor& type, string_view written) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (IsWritable(*type.value(i)) && EnumValueName(*type.value(i)) == written) {
      return type.value(i);
    }
  }
  return nullptr;
}

std::vector<string_view> EnumValueNames(const pb::EnumDescriptor& type) {
  std::vector<string_view> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (IsWritable(*type.value(i))) names.push_back(EnumValueName(*type.value(i)));
  }
  return names;
}

}  // namespace whence::document
