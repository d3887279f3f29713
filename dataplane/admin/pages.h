// What an agent tells of itself: metrics for Prometheus, readiness, and pages for people.
//
// Pure: a report goes in, text comes out.
#ifndef WHENCE_DATAPLANE_ADMIN_PAGES_H_
#define WHENCE_DATAPLANE_ADMIN_PAGES_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "dataplane/access_log/access_summary.h"
#include "dataplane/access_log/outbox.h"
#include "dataplane/admin/http_server.h"
#include "dataplane/discovery/discovery_client.h"
#include "dataplane/discovery/publisher.h"
#include "dataplane/dns/resolver.h"
#include "dataplane/proxy/counters.h"

namespace whence::admin {

// A moment's view of the whole agent. Immutable value.
struct AgentReport {
  std::string agent;  // "namespace/name"
  std::string role;
  bool draining = false;
  std::chrono::seconds uptime{0};
  std::shared_ptr<const discovery::ActiveConfig> config;  // null: none yet
  std::optional<proxy::Counters> data_plane;              // none: its listeners are not open
  std::optional<discovery::DiscoveryStats> discovery;     // none: no control plane
  std::optional<access_log::OutboxStats> outbox;          // likewise
  dns::DnsStats dns;
  access_log::AccessSummary accesses;
  uint64_t access_records = 0;
  uint64_t ring_dropped = 0;

  // Configured, listening, and not on its way out.
  bool is_ready() const { return config != nullptr && data_plane.has_value() && !draining; }
};

std::string MetricsText(const AgentReport& report);

// The three servers' pages. Unknown paths are 404.
HttpResponse MetricsPage(const AgentReport& report, const HttpRequest& request);
HttpResponse HealthPage(const AgentReport& report, const HttpRequest& request);
// 403 unless the Host header names this machine's loopback: a page in a browser that has its own
// name resolve to 127.0.0.1 (DNS rebinding) must not read our configuration.
HttpResponse AdminPage(const AgentReport& report, const HttpRequest& request);

}  // namespace whence::admin

#endif  // WHENCE_DATAPLANE_ADMIN_PAGES_H_
