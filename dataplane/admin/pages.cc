#include "dataplane/admin/pages.h"

#include <google/protobuf/util/json_util.h>

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/strings.h"
#include "common/net/ip_address.h"

namespace whence::admin {
namespace {

constexpr char kIndex[] =
    "/config_dump  the active configuration, as JSON\n"
    "/stats        every number, as on the metrics port\n"
    "/ready        200 when connections are served\n";

// Prometheus text format, version 0.0.4: all samples of one metric stand together behind its help.
class Metrics {
 public:
  void Add(std::string_view name, bool gauge, std::string_view help, std::string_view labels,
           uint64_t value) {
    const auto [it, is_new] = index_.try_emplace(std::string(name), families_.size());
    if (is_new) {
      families_.push_back(absl::StrCat("# HELP whence_", ToAbsl(name), " ", ToAbsl(help),
                                       "\n# TYPE whence_", ToAbsl(name),
                                       gauge ? " gauge\n" : " counter\n"));
    }
    std::string& family = families_[it->second];
    absl::StrAppend(&family, "whence_", ToAbsl(name));
    if (!labels.empty()) absl::StrAppend(&family, "{", ToAbsl(labels), "}");
    absl::StrAppend(&family, " ", value, "\n");
  }
  void Counter(std::string_view name, std::string_view help, uint64_t value) {
    Add(name, false, help, "", value);
  }
  void Gauge(std::string_view name, std::string_view help, uint64_t value) {
    Add(name, true, help, "", value);
  }

  // `labels` are followed by the bucket's own. Prometheus wants each bucket to hold those before it.
  void Histogram(std::string_view name, std::string_view help, std::string_view labels,
                 const access_log::AccessSummary::Histogram& histogram) {
    const auto [it, is_new] = index_.try_emplace(std::string(name), families_.size());
    if (is_new) {
      families_.push_back(absl::StrCat("# HELP whence_", ToAbsl(name), " ", ToAbsl(help),
                                       "\n# TYPE whence_", ToAbsl(name), " histogram\n"));
    }
    std::string& family = families_[it->second];
    const std::string full = absl::StrCat("whence_", ToAbsl(name));
    uint64_t sum = 0;
    for (size_t i = 0; i < histogram.buckets.size(); ++i) {
      sum += histogram.buckets[i];
      absl::StrAppend(&family, full, "_bucket{", ToAbsl(labels), ",le=\"",
                      static_cast<double>(access_log::kDurationBuckets[i]) / 1e6, "\"} ", sum,
                      "\n");
    }
    absl::StrAppend(&family, full, "_bucket{", ToAbsl(labels), ",le=\"+Inf\"} ", histogram.count,
                    "\n", full, "_sum{", ToAbsl(labels), "} ", histogram.sum_us / 1'000'000, ".",
                    absl::Dec(histogram.sum_us % 1'000'000, absl::kZeroPad6), "\n", full, "_count{",
                    ToAbsl(labels), "} ", histogram.count, "\n");
  }

  std::string Text() const {
    std::string text;
    for (const std::string& family : families_) text += family;
    return text;
  }

 private:
  std::map<std::string, size_t> index_;
  std::vector<std::string> families_;  // in the order in which they were first added
};

std::string LabelValue(const std::string& text) {
  return absl::StrReplaceAll(text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

void AddDataPlane(const proxy::Counters& counters, Metrics* metrics) {
  for (size_t i = 0; i < proxy::kCounterCount; ++i) {
    const auto counter = static_cast<proxy::Counter>(i);
    const proxy::CounterInfo& info = proxy::Info(counter);
    metrics->Add(info.metric, info.gauge, info.help, info.labels, counters[counter]);
  }
}

void AddDiscovery(const discovery::DiscoveryStats& stats, Metrics* metrics) {
  metrics->Gauge("control_plane_connected", "1 while there is a connection to the control plane.",
                 stats.connected ? 1 : 0);
  metrics->Counter("discovery_streams_total", "Discovery streams opened.", stats.streams);
  metrics->Counter("discovery_responses_total", "Discovery responses received.", stats.responses);
  metrics->Counter("discovery_refusals_total", "Discovery responses refused (NACK).",
                   stats.refusals);
  uint64_t refused = 0;
  for (const discovery::ResourceStatus& resource : stats.resources)
    refused += resource.error.empty() ? 0 : 1;
  metrics->Gauge("discovery_resources_refused",
                 "Resources whose newest version is refused; their last good one runs.", refused);
}

void AddAccesses(const access_log::AccessSummary& accesses, Metrics* metrics) {
  constexpr char kHelp[] = "How long requests and connections took, to the last byte.";
  metrics->Histogram("access_duration_seconds", kHelp, "protocol=\"http\"", accesses.http());
  metrics->Histogram("access_duration_seconds", kHelp, "protocol=\"tcp\"", accesses.tcp());
  for (const auto& [policy, counts] : accesses.by_policy()) {
    for (size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      metrics->Add(
          "accesses_total", false,
          "Accesses by decision and the policy that decided; none: no policy did.",
          absl::StrCat("decision=\"", ToAbsl(DecisionText(static_cast<access_log::Decision>(i))),
                       "\",policy=\"", policy.empty() ? "none" : LabelValue(policy), "\""),
          counts[i]);
    }
  }
}

void AddOutbox(const access_log::OutboxStats& stats, Metrics* metrics) {
  metrics->Gauge("access_log_memory_bytes", "Unacknowledged access records in memory.",
                 stats.memory_bytes);
  metrics->Gauge("access_log_spool_bytes", "Unacknowledged access records on disk.",
                 stats.spool_bytes);
  metrics->Counter("access_log_acknowledged_total", "Access records acknowledged.",
                   stats.acknowledged);
  metrics->Add("access_log_dropped_total", false,
               "Access records lost; each loss is reported as a gap.", "where=\"outbox\"",
               stats.dropped);
  metrics->Counter("access_log_spool_errors_total",
                   "Failures to write a batch to the spool, or to read one back.",
                   stats.spool_errors);
}

bool NamesLoopback(std::string_view host) {
  // "[::1]:15000", "127.0.0.1:15000", "localhost"
  if (!host.empty() && host.front() == '[') {
    const size_t end = host.find(']');
    host = end == std::string_view::npos ? std::string_view() : host.substr(1, end - 1);
  } else {
    host = host.substr(0, host.find(':'));
  }
  if (EqualsIgnoreCase(host, "localhost")) return true;
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(host);
  return address.has_value() && address->is_loopback();
}

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(message, &json, options).ok()) json = "null";
  return json;
}

// Keys are for agents; a page is for people.
v1::WorkloadBundle WithoutKeys(v1::WorkloadBundle bundle) {
  bundle.clear_handover_key();
  for (auto& cluster : *bundle.mutable_clusters()) {
    for (auto& endpoint : *cluster.mutable_endpoints()) endpoint.clear_handover_key();
  }
  return bundle;
}

std::string ConfigDump(const AgentReport& report) {
  if (report.config == nullptr) return "null\n";
  google::protobuf::Struct about;
  auto& fields = *about.mutable_fields();
  fields["version"].set_string_value(report.config->version);
  fields["fromLastGood"].set_bool_value(report.config->from_last_good);
  auto& sets = *fields["ipSetVersions"].mutable_struct_value()->mutable_fields();
  for (const auto& [name, version] : report.config->ip_set_versions)
    sets[name].set_string_value(version);
  if (report.discovery.has_value()) {
    auto* resources = fields["resources"].mutable_list_value();
    for (const discovery::ResourceStatus& resource : report.discovery->resources) {
      auto& entry = *resources->add_values()->mutable_struct_value()->mutable_fields();
      entry["type"].set_string_value(std::string(discovery::ShortTypeName(resource.type)));
      entry["name"].set_string_value(resource.name);
      entry["version"].set_string_value(resource.version);
      entry["refusedVersion"].set_string_value(resource.refused_version);
      entry["error"].set_string_value(resource.error);
    }
  }
  return absl::StrCat("{\"about\": ", ToJson(about),
                      ",\n\"bundle\": ", ToJson(WithoutKeys(report.config->bundle)), "}\n");
}

HttpResponse Readiness(const AgentReport& report) {
  if (report.is_ready())
    return {200, absl::StrCat("ready, configuration version ", report.config->version, "\n")};
  return {503, report.draining            ? "draining\n"
               : report.config == nullptr ? "no configuration yet\n"
                                          : "listeners are not open\n"};
}

}  // namespace

std::string MetricsText(const AgentReport& report) {
  Metrics metrics;
  metrics.Add("agent_info", true, "Always 1; says who this is.",
              absl::StrCat("version=\"" WHENCE_VERSION "\",agent=\"", LabelValue(report.agent),
                           "\",role=\"", report.role, "\""),
              1);
  metrics.Gauge("uptime_seconds", "Seconds since the agent started.",
                static_cast<uint64_t>(report.uptime.count()));
  metrics.Gauge("ready", "1 while connections are served.", report.is_ready() ? 1 : 0);
  if (report.config != nullptr) {
    metrics.Gauge("configuration_revision",
                  "Store revision that the active configuration was built from.",
                  report.config->bundle.revision());
    metrics.Gauge("configuration_from_last_good",
                  "1 while running from disk, unconfirmed by the control plane.",
                  report.config->from_last_good ? 1 : 0);
  }
  if (report.data_plane.has_value()) AddDataPlane(*report.data_plane, &metrics);
  if (report.discovery.has_value()) AddDiscovery(*report.discovery, &metrics);
  constexpr const char* kDns = "Names asked of DNS for endpoints, by result.";
  metrics.Add("dns_lookups_total", false, kDns, "result=\"answer\"", report.dns.answers);
  metrics.Add("dns_lookups_total", false, kDns, "result=\"failure\"", report.dns.failures);
  metrics.Gauge("dns_names", "Names that endpoints are looked up by.", report.dns.names);
  metrics.Gauge("dns_names_failing",
                "Names of which the last lookup failed; their last addresses stay in use.",
                report.dns.failing);
  AddAccesses(report.accesses, &metrics);
  metrics.Counter("access_records_total", "Access records carried out of the workers.",
                  report.access_records);
  metrics.Add("access_log_dropped_total", false,
              "Access records lost; each loss is reported as a gap.", "where=\"ring\"",
              report.ring_dropped);
  if (report.outbox.has_value()) AddOutbox(*report.outbox, &metrics);
  return metrics.Text();
}

HttpResponse MetricsPage(const AgentReport& report, const HttpRequest& request) {
  if (request.path != "/metrics" && request.path != "/stats/prometheus")
    return {404, "try /metrics\n"};
  return {200, MetricsText(report), "text/plain; version=0.0.4; charset=utf-8"};
}

HttpResponse HealthPage(const AgentReport& report, const HttpRequest& request) {
  if (request.path == "/healthz/live") return {200, "alive\n"};
  if (request.path != "/healthz/ready") return {404, "try /healthz/ready or /healthz/live\n"};
  return Readiness(report);
}

HttpResponse AdminPage(const AgentReport& report, const HttpRequest& request) {
  if (!NamesLoopback(request.host))
    return {403, "the Host header must name this machine: localhost or a loopback address\n"};
  if (request.path == "/") return {200, kIndex};
  if (request.path == "/ready") return Readiness(report);
  if (request.path == "/config_dump") return {200, ConfigDump(report), "application/json"};
  if (request.path != "/stats") return {404, kIndex};
  std::string samples;
  const std::string text = MetricsText(report);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin) + 1;
    if (text[begin] != '#') samples.append(text, begin, end - begin);
    begin = end;
  }
  return {200, samples};
}

}  // namespace whence::admin
