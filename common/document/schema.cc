#include "common/document/schema.h"

#include <algorithm>
#include <span>

#include "common/base/strings.h"

namespace whence::document {
namespace {

namespace pb = google::protobuf;
using std::string_view;

// One row per message of ours: the fields that Istio's message has and ours has not.
constexpr string_view kPolicy[] = {"targetRef", "targetRefs", "provider"};
constexpr string_view kPolicySource[] = {"trustDomains", "notTrustDomains"};
constexpr string_view kGatewayServer[] = {"tls", "bind", "defaultEndpoint"};
constexpr string_view kVirtualService[] = {"tls", "exportTo"};
constexpr string_view kHttpRoute[] = {
    "delegate", "fault", "mirror", "mirrors", "mirrorPercent", "mirrorPercentage", "corsPolicy"};
constexpr string_view kHttpMatch[] = {"sourceLabels", "sourceNamespace", "statPrefix"};
constexpr string_view kHttpRetry[] = {"retryRemoteLocalities", "retryIgnorePreviousHosts",
                                      "backoff"};
constexpr string_view kDirectBody[] = {"bytes"};
constexpr string_view kTcpMatch[] = {"destinationSubnets", "sourceSubnet", "sourceLabels",
                                     "sourceNamespace"};
constexpr string_view kDestinationRule[] = {"exportTo", "workloadSelector"};
constexpr string_view kTrafficPolicy[] = {"tls", "tunnel", "proxyProtocol", "retryBudget"};
constexpr string_view kPortSettings[] = {"tls"};
constexpr string_view kLoadBalancer[] = {"localityLbSetting", "warmupDurationSecs", "warmup"};
constexpr string_view kConsistentHash[] = {"minimumRingSize", "ringHash"};
constexpr string_view kCookie[] = {"attributes"};
constexpr string_view kTcpPool[] = {"maxConnectionDuration", "idleTimeout"};
constexpr string_view kHttpPool[] = {"http2MaxRequests", "maxRetries", "h2UpgradePolicy",
                                     "useClientProtocol", "maxConcurrentStreams"};
constexpr string_view kOutlier[] = {"consecutiveErrors", "splitExternalLocalOriginErrors",
                                    "consecutiveLocalOriginFailures", "minHealthPercent"};
constexpr string_view kServiceEntry[] = {"addresses", "exportTo", "subjectAltNames",
                                         "workloadSelector"};
constexpr string_view kEntryEndpoint[] = {"network", "locality", "serviceAccount"};
constexpr string_view kService[] = {"externalName"};

struct Row {
  string_view message;
  std::span<const string_view> fields;
};

constexpr Row kUnsupported[] = {
    {"whence.v1.IpPolicySpec", kPolicy},
    {"whence.v1.PolicySource", kPolicySource},
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

constexpr Row kDropped[] = {
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

bool Contains(std::span<const Row> rows, const pb::Descriptor& message, string_view name) {
  for (const Row& row : rows) {
    if (row.message == message.full_name()) {
      return std::find(row.fields.begin(), row.fields.end(), name) != row.fields.end();
    }
  }
  return false;
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

bool IsUnsupportedField(const pb::Descriptor& message, string_view name) {
  return Contains(kUnsupported, message, name);
}

bool IsDroppedField(const pb::Descriptor& message, string_view name) {
  return Contains(kDropped, message, name);
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
