// The YAML that the lab applies through whencectl: Istio's own documents, and one of ours.
#ifndef WHENCE_TESTS_LAB_DOCUMENTS_H_
#define WHENCE_TESTS_LAB_DOCUMENTS_H_

namespace whence::lab {

// Everything to the gateway goes to the echo pod.
inline constexpr char kRouteDocuments[] = R"(
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  selector: {app: echo}
  ipFamilyPolicy: PreferDualStack
  ipFamilies: [IPv4, IPv6]
  ports:
  - {name: http, port: 80, targetPort: 8080, appProtocol: http}
  - {name: tcp, port: 9000, targetPort: 9000, appProtocol: tcp}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Cluster
  selector: {istio: ingressgateway}
  ipFamilyPolicy: PreferDualStack
  ipFamilies: [IPv4, IPv6]
  ports:
  - {name: http, port: 80, targetPort: 80, nodePort: 31380}
  - {name: tcp, port: 9000, targetPort: 9000, nodePort: 31400}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: ["*"]
  - port: {number: 9000, name: tcp, protocol: TCP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo, namespace: default}
spec:
  hosts: ["*"]
  gateways: [istio-system/edge]
  http:
  - route:
    - destination: {host: echo.default.svc.cluster.local, port: {number: 80}}
  tcp:
  - match: [{port: 9000}]
    route:
    - destination: {host: echo.default.svc.cluster.local, port: {number: 9000}}
)";

// Two proxies of the operator's own stand in front of the gateway.
inline constexpr char kTwoTrustedProxies[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istio-ingressgateway}}
  numTrustedProxies: 2
)";

// The application's peer is the client, wherever the connection came from.
inline constexpr char kClientIsThePeer[] = R"(
apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: echo, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  upstreamSource: TRUSTED_CLIENT
)";

inline constexpr char kDenyClient[] = R"(
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-client, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istio-ingressgateway}}
  action: DENY
  rules:
  - from:
    - source:
        remoteIpBlocks: ["2.2.2.2/24", "2001:db8:2222::/48"]
)";

inline constexpr char kDenyPeer[] = R"(
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-peer, namespace: istio-system}
spec:
  selector: {matchLabels: {app: istio-ingressgateway}}
  action: DENY
  rules:
  - from:
    - source:
        ipBlocks: ["123.120.247.0/24"]
)";

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_DOCUMENTS_H_
