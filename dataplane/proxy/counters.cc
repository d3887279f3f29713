#include "dataplane/proxy/counters.h"

namespace whence::proxy {
namespace {

constexpr std::string_view kRequests = "requests_total";
constexpr std::string_view kRequestsHelp = "HTTP requests judged, by decision.";
constexpr std::string_view kTcp = "tcp_connections_total";
constexpr std::string_view kTcpHelp = "TCP connections judged, by decision.";
constexpr std::string_view kProxy = "proxy_protocol_headers_total";
constexpr std::string_view kProxyHelp =
    "PROXY protocol headers looked for: taken, local, or why the connection was refused.";
constexpr std::string_view kBufferHelp =
    "Times reading a body paused because the other side took no more.";
constexpr std::string_view kPoolHelp = "Unused upstream connections closed.";
constexpr std::string_view kAllow = "decision=\"allow\"";
constexpr std::string_view kDeny = "decision=\"deny\"";
constexpr std::string_view kDryRun = "decision=\"dry-run-deny\"";

// In the order of Counter.
constexpr std::array<CounterInfo, kCounterCount> kInfos = {{
    {"connections_accepted_total", "", "Downstream connections accepted."},
    {"connections_active", "", "Downstream connections open now.", true},
    {"connections_detected_total", "protocol=\"http\"", "Connections by protocol found."},
    {"connections_detected_total", "protocol=\"tcp\"", "Connections by protocol found."},
    {kRequests, kAllow, kRequestsHelp},
    {kRequests, kDeny, kRequestsHelp},
    {kRequests, kDryRun, kRequestsHelp},
    {kTcp, kAllow, kTcpHelp},
    {kTcp, kDeny, kTcpHelp},
    {kTcp, kDryRun, kTcpHelp},
    {"policy_closed_total", "", "Open connections closed because a newer policy denies them."},
    {"spoofed_headers_total", "", "Headers by which an untrusted peer claimed another client."},
    {kProxy, "result=\"taken\"", kProxyHelp},
    {kProxy, "result=\"local\"", kProxyHelp},
    {kProxy, "result=\"forbidden\"", kProxyHelp},
    {kProxy, "result=\"unproven\"", kProxyHelp},
    {kProxy, "result=\"malformed\"", kProxyHelp},
    {kProxy, "result=\"missing\"", kProxyHelp},
    {kProxy, "result=\"late\"", kProxyHelp},
    {kProxy, "result=\"peer-refused\"", kProxyHelp},
    {"proxy_protocol_sent_total", "", "PROXY protocol headers sent to endpoints."},
    {"loops_total", "", "Connections refused because they were aimed at the agent itself."},
    {"not_intercepted_total", "", "Connections without an original destination, refused."},
    {"connections_over_limit_total", "", "Connections refused by the connection limit."},
    {"accept_pauses_total", "", "Times accepting paused for want of descriptors or memory."},
    {"accept_queue_full_total", "", "Times a listener's queue was found full: SYNs are dropped."},
    {"connections_recycled_total", "", "Connections ended after their last allowed request."},
    {"detection_timeouts_total", "", "Connections silent for so long that they were taken as TCP."},
    {"keep_alive_timeouts_total", "", "Connections closed because no request came."},
    {"linger_timeouts_total", "", "Refused clients that went on sending and were cut."},
    {"heads_over_limit_total", "", "Request and response heads of too many bytes or fields."},
    {"buffer_full_total", "direction=\"in\"", kBufferHelp},
    {"buffer_full_total", "direction=\"out\"", kBufferHelp},
    {"spliced_bytes_total", "",
     "Bytes of long bodies and streams that passed without being copied."},
    {"pipes_short_total", "", "Times a long body or stream was copied for want of a pipe."},
    {"pool_closed_total", "reason=\"idle\"", kPoolHelp},
    {"pool_closed_total", "reason=\"full\"", kPoolHelp},
    {"bad_requests_total", "", "Requests refused as malformed or too large."},
    {"header_timeouts_total", "", "Request heads that did not arrive in time."},
    {"idle_timeouts_total", "", "Requests and connections cut because nothing moved."},
    {"no_route_total", "", "Requests no route was found for."},
    {"no_endpoint_total", "", "Accesses to a cluster without endpoints."},
    {"upstream_connects_total", "", "Upstream connections opened."},
    {"upstream_reuses_total", "", "Requests sent on an upstream connection already open."},
    {"upstream_connect_failures_total", "", "Upstream connections that could not be opened."},
    {"upstream_connect_timeouts_total", "", "Upstreams that did not accept in time."},
    {"upstream_timeouts_total", "", "Upstreams that did not connect or answer in time."},
    {"upstream_resets_total", "", "Upstreams that went away before their answer was complete."},
    {"upstream_protocol_errors_total", "", "Responses refused as malformed."},
    {"upstream_retries_total", "", "Requests sent again because a reused connection was stale."},
    {"endpoints_ejected_total", "", "Endpoints left out for a while after failures."},
    {"upstream_pending_total", "",
     "Requests that waited for one of a limited number of connections."},
    {"upstream_pending_overflow_total", "",
     "Requests refused because as many waited for a connection as may."},
    {"upstream_connection_overflow_total", "",
     "TCP connections refused because their cluster had as many as it may."},
    {"downstream_resets_total", "", "Clients that went away before their answer was complete."},
    {"source_port_retries_total", "", "Source ports found in use, another was tried."},
    {"source_port_exhausted_total", "", "Accesses failed for want of a source port."},
    {"source_unavailable_total", "",
     "Accesses failed because the client's address cannot be used."},
    {"source_family_total", "",
     "Clients that could not be the source because the application's address is of another "
     "family."},
    {"source_fallback_total", "", "Accesses made from the agent's own address, as configured."},
    {"upgrades_total", "", "Connections switched to another protocol."},
    {"bytes_total", "direction=\"in\"", "Bytes from and to downstream."},
    {"bytes_total", "direction=\"out\"", "Bytes from and to downstream."},
    {"snapshots_total", "", "Snapshots taken up, summed over workers."},
}};

}  // namespace

const CounterInfo& Info(Counter counter) { return kInfos[static_cast<size_t>(counter)]; }

}  // namespace whence::proxy
