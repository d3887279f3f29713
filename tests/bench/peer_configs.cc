#include "tests/bench/peer_configs.h"

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/bench/launch.h"

namespace whence::bench {
namespace {

// `http-reuse never` keeps one upstream per client connection: with a spoofed source the shared
// pool finds no match and opens a new one for each request, which costs it threefold.
constexpr char kHaproxy[] = R"(global
  nbthread 1
  maxconn 4096
  %LOG%
defaults
  http-reuse never
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  %SPLICE%
frontend http
  mode http
  %HTTP_LOG%
  bind fd@%FD%
  %DENY%
  default_backend http
backend http
  mode http
  source 0.0.0.0 usesrc clientip
  server application %ADDRESS%:%PORT%
frontend tcp
  mode tcp
  %TCP_LOG%
  bind fd@%TCP_FD%
  default_backend tcp
backend tcp
  mode tcp
  source 0.0.0.0 usesrc clientip
  server application %ADDRESS%:%TCP_PORT%
)";

// With a master process, although one worker needs none: without it 1.22 crashes on an inherited
// socket. Without `keepalive` every request opens an upstream connection.
constexpr char kNginx[] = R"(daemon off;
user root;
worker_processes 1;
pid %DIR%/nginx.pid;
error_log stderr error;
%STREAM_MODULE%
events { worker_connections 20000; }
http {
  access_log off;
  client_body_temp_path %DIR%/body;
  proxy_temp_path %DIR%/proxy;
  fastcgi_temp_path %DIR%/fastcgi;
  uwsgi_temp_path %DIR%/uwsgi;
  scgi_temp_path %DIR%/scgi;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  proxy_max_temp_file_size 0;
  upstream application {
    server %ADDRESS%:%PORT%;
    %KEEPALIVE%
  }
  server {
    listen 15006;
    location / {
      proxy_pass http://application;
      proxy_bind $remote_addr transparent;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
)";

constexpr char kNginxStream[] = R"(stream {
  server {
    listen 15007;
    proxy_pass %ADDRESS%:%TCP_PORT%;
    proxy_bind $remote_addr transparent;
    proxy_buffer_size 256k;
  }
}
)";

constexpr char kNginxStreamModule[] = "/usr/lib/nginx/modules/ngx_stream_module.so";

// The original_src filter makes upstream connections leave from the client's address and keeps
// pools apart by it; the listener's mark keeps accepted sockets from inheriting the interception's.
constexpr char kEnvoyListener[] = R"(  - name: %NAME%
    address: {socket_address: {address: 0.0.0.0, port_value: %LISTEN%}}
    transparent: true
    socket_options:
    - {level: 1, name: 36, int_value: %LISTENER_MARK%, state: STATE_PREBIND}
    listener_filters:
    - name: envoy.filters.listener.original_src
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.filters.listener.original_src.v3.OriginalSrc
        mark: %UPSTREAM_MARK%
    filter_chains:
    - filters:
)";

constexpr char kEnvoyHttp[] =
    R"(      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: http
          %LOG%
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes: [{match: {prefix: "/"}, route: {cluster: http, timeout: 0s}}]
          http_filters:
          %POLICY%
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
)";

// What Istio's sidecar has on besides, as far as Envoy itself has it: a policy by the client's
// address, request ids, a log line in Istio's default format, and the filters of its inbound chain.
constexpr char kEnvoyLog[] = R"(use_remote_address: true
          access_log:
          - name: envoy.access_loggers.file
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog
              path: %DIR%/access.log
              log_format:
                text_format_source:
                  inline_string: "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n")";
constexpr char kEnvoyPolicy[] = R"(- name: envoy.filters.http.rbac
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC
              rules:
                action: DENY
                policies:
                  deny-some:
                    permissions: [{any: true}]
                    principals:
                    - remote_ip: {address_prefix: 203.0.113.0, prefix_len: 24}
                    - remote_ip: {address_prefix: 198.51.100.7, prefix_len: 32}
          - name: envoy.filters.http.grpc_stats
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig
              emit_filter_state: true
              stats_for_all_methods: false
          - name: envoy.filters.http.fault
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
          - name: envoy.filters.http.cors
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors)";

constexpr char kEnvoyTcp[] =
    R"(      - name: envoy.filters.network.tcp_proxy
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
          stat_prefix: tcp
          cluster: tcp
)";

constexpr char kEnvoyCluster[] = R"(  - name: %NAME%
    type: STATIC
    connect_timeout: 5s
    circuit_breakers: {thresholds: [{max_connections: 20000, max_pending_requests: 20000, max_requests: 20000}]}
    load_assignment:
      cluster_name: %NAME%
      endpoints:
      - lb_endpoints:
        - endpoint: {address: {socket_address: {address: %ADDRESS%, port_value: %PORT%}}}
)";

constexpr char kDocuments[] = R"(apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: bench, namespace: bench}
spec:
  trustMeshGateways: true
---
apiVersion: v1
kind: Service
metadata: {name: bench, namespace: bench}
spec:
  selector: {app: bench}
  ports:
  - {name: http, port: %PORT%, appProtocol: http}
  - {name: tcp, port: %TCP_PORT%, appProtocol: tcp}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: deny-some, namespace: bench}
spec:
  action: DENY
  rules:
  - from:
    - source:
        remoteIpBlocks: ["203.0.113.0/24", "198.51.100.7"]
)";

constexpr char kDeny[] = R"(---
apiVersion: whence.dev/v1
kind: IpSet
metadata: {name: denied, namespace: bench}
spec: {file: denied.txt}
---
apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: deny-many, namespace: bench}
spec:
  action: DENY
  rules:
  - from:
    - source: {remoteIpSets: [denied]}
)";

std::string Filled(const std::string& text, const Pod& pod, const std::string& directory) {
  return absl::StrReplaceAll(text, {{"%FD%", absl::StrCat(kListenerFd)},
                                    {"%TCP_FD%", absl::StrCat(kTcpListenerFd)},
                                    {"%ADDRESS%", pod.address},
                                    {"%PORT%", absl::StrCat(kHttpPort)},
                                    {"%TCP_PORT%", absl::StrCat(kTcpPort)},
                                    {"%DIR%", directory}});
}

std::string EnvoyListener(const char* name, uint16_t port, const char* filter) {
  return absl::StrReplaceAll(absl::StrCat(kEnvoyListener, filter),
                             {{"%NAME%", name},
                              {"%LISTEN%", absl::StrCat(port)},
                              {"%LISTENER_MARK%", absl::StrCat(kListenerMark)},
                              {"%UPSTREAM_MARK%", absl::StrCat(kUpstreamMark)}});
}

std::string EnvoyCluster(const Pod& pod, const char* name, uint16_t port) {
  return absl::StrReplaceAll(
      kEnvoyCluster,
      {{"%NAME%", name}, {"%ADDRESS%", pod.address}, {"%PORT%", absl::StrCat(port)}});
}

}  // namespace

std::string HaproxyConfig(const Pod& pod, const std::string& directory,
                          const HaproxyOptions& options) {
  const std::string text = absl::StrReplaceAll(
      kHaproxy,
      {{"%LOG%", options.log ? "log stdout format raw local0" : ""},
       {"%HTTP_LOG%", options.log ? "log global\n  option httplog" : ""},
       {"%TCP_LOG%", options.log ? "log global\n  option tcplog" : ""},
       {"%SPLICE%", options.splice ? "option splice-request\n  option splice-response" : ""},
       {"%DENY%", options.denied > 0 ? "acl denied src -f %DIR%/denied.txt\n  "
                                       "http-request deny if denied"
                                     : ""}});
  return Filled(text, pod, directory);
}

std::string NginxConfig(const Pod& pod, const std::string& directory, bool keepalive) {
  const bool stream = std::filesystem::exists(kNginxStreamModule);
  const std::string module = absl::StrCat("load_module ", kNginxStreamModule, ";");
  return absl::StrReplaceAll(
      Filled(absl::StrCat(kNginx, stream ? kNginxStream : ""), pod, directory),
      {{"%KEEPALIVE%", keepalive ? "keepalive 128;" : ""},
       {"%STREAM_MODULE%", stream ? module : ""}});
}

std::string EnvoyConfig(const Pod& pod, const std::string& directory, bool log) {
  const std::string text = absl::StrCat(
      "static_resources:\n  listeners:\n", EnvoyListener("http", kProxyPort, kEnvoyHttp),
      EnvoyListener("tcp", kTcpProxyPort, kEnvoyTcp), "  clusters:\n",
      EnvoyCluster(pod, "http", kHttpPort), EnvoyCluster(pod, "tcp", kTcpPort));
  return absl::StrReplaceAll(
      absl::StrReplaceAll(text, {{"%LOG%", log ? kEnvoyLog : "generate_request_id: false"},
                                 {"%POLICY%", log ? kEnvoyPolicy : ""}}),
      {{"%DIR%", directory}});
}

std::string AgentDocuments(size_t denied) {
  return absl::StrReplaceAll(
      absl::StrCat(kDocuments, denied > 0 ? kDeny : ""),
      {{"%PORT%", absl::StrCat(kHttpPort)}, {"%TCP_PORT%", absl::StrCat(kTcpPort)}});
}

std::string DeniedRanges(size_t count) {
  std::string text;
  // Every second /30 from 64.0.0.0 on: none touches another, so none can be merged away.
  for (size_t i = 0; i < count; ++i) {
    const size_t address = (size_t{64} << 24) + i * 8;
    absl::StrAppend(&text, address >> 24 & 255, ".", address >> 16 & 255, ".", address >> 8 & 255,
                    ".", address & 255, "/30\n");
  }
  return text;
}

}  // namespace whence::bench
