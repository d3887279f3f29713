// Every bound of the data path, with its default. Each has a counter that says when it was hit.
#ifndef WHENCE_DATAPLANE_PROXY_LIMITS_H_
#define WHENCE_DATAPLANE_PROXY_LIMITS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace whence::proxy {

struct Limits {
  // Per worker. What comes beyond is reset at once and counted, so that one flood cannot take the
  // memory of all.
  uint32_t max_connections = 50'000;
  // A downstream connection is closed politely after that many requests; 0: never.
  uint32_t max_requests_per_connection = 0;

  uint32_t max_header_bytes = 61'440;  // request and response heads; 431 or 502 beyond
  uint32_t max_header_fields = 100;

  // From accept to the last byte of a PROXY protocol header, where one may come. A proxy sends it
  // with its first packet, so this outlasts two that were lost. Where a header is optional and
  // nothing at all has come by then, the connection goes on without.
  std::chrono::milliseconds proxy_header_timeout{3'000};
  uint32_t max_proxy_header_bytes = 16'384;  // v2, with its TLVs; refused as malformed beyond

  // How long a client may stay silent before a port of unknown protocol is taken as TCP, so that
  // protocols in which the server speaks first work.
  std::chrono::milliseconds detection_timeout{200};
  // From the first byte of a head to its last: a total, not an idle time, or one byte every few
  // seconds would hold a connection for ever.
  std::chrono::milliseconds header_timeout{10'000};
  // Between two requests of one downstream connection.
  std::chrono::milliseconds keep_alive_timeout{300'000};
  // A request or response in progress that moves no byte in either direction: 408 or 504.
  std::chrono::milliseconds stream_idle_timeout{300'000};
  // Outlasts two lost SYNs (sent again after 1 s and 3 s), so one drop is no failed hop.
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::milliseconds tcp_idle_timeout{3'600'000};
  // Unused upstream connections, per worker. A sidecar keeps one warm for the next connection of
  // the same client, but not for long: an application may serve no more than a few at a time.
  std::chrono::milliseconds pool_idle_timeout{60'000};  // gateways
  std::chrono::milliseconds warm_idle_timeout{5'000};   // sidecars
  uint32_t max_idle_per_endpoint = 64;  // and per client where the source is the client's
  uint32_t max_idle = 1'024;            // in all
  // After an answer that ends a connection: how long we read on, so that our close does not turn
  // into a reset that destroys the answer under way (RFC 9112, 9.6).
  std::chrono::milliseconds linger_timeout{2'000};
  // A vanished peer: data unacknowledged for that long ends the connection.
  std::chrono::milliseconds user_timeout{60'000};

  uint32_t listen_backlog = 4096;  // per worker and listener; the kernel drops SYNs beyond

  // A drain. For so long what already shook hands is still accepted; new SYNs are ignored
  // meanwhile. Where clients are known to speak first it is a second and a quarter, since the
  // kernel holds them back until they do.
  std::chrono::milliseconds drain_accept_time{100};
  // So long an idle connection may still bring a request, which is then answered with
  // `Connection: close`: ended at once, it would fail a request that is on its way. At most half of
  // the drain's own time.
  std::chrono::milliseconds drain_idle_timeout{1'000};
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_LIMITS_H_
