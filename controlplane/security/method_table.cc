#include "controlplane/security/method_table.h"

namespace whence::security {

const std::vector<MethodRule>& AllMethods() {
  using enum Audience;
  static const std::vector<MethodRule> kMethods = {
      {"/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources", kAgents},
      {"/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources", kAgents},
      {"/whence.v1.AccessLogIngest/Stream", kAgents},
      {"/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs", kAgents},

      {"/whence.v1.ConfigService/Get", kViewers},
      {"/whence.v1.ConfigService/Explain", kViewers},
      {"/whence.v1.ConfigService/History", kViewers},
      {"/whence.v1.ConfigService/Diff", kViewers},
      {"/whence.v1.ConfigService/DescribeIpSet", kViewers},
      {"/whence.v1.AgentService/ListAgents", kViewers},
      {"/envoy.service.status.v3.ClientStatusDiscoveryService/StreamClientStatus", kViewers},
      {"/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus", kViewers},
      {"/whence.v1.LogService/Query", kViewers},
      {"/whence.v1.LogService/Top", kViewers},
      {"/whence.v1.SecurityService/ListRefusals", kViewers},
      {"/whence.v1.InsightService/ExplainRecord", kViewers},
      {"/whence.v1.InsightService/Forecast", kViewers},
      {"/whence.v1.InsightService/Examine", kViewers},

      {"/whence.v1.ConfigService/Apply", kEditors},
      {"/whence.v1.ConfigService/Delete", kEditors},
      {"/whence.v1.ConfigService/Rollback", kEditors},

      {"/grpc.health.v1.Health/Check", kEverybody},
      {"/grpc.health.v1.Health/Watch", kEverybody},
      {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", kViewers},
      {"/grpc.channelz.v1.Channelz/GetTopChannels", kViewers},
      {"/grpc.channelz.v1.Channelz/GetServers", kViewers},
      {"/grpc.channelz.v1.Channelz/GetServer", kViewers},
      {"/grpc.channelz.v1.Channelz/GetServerSockets", kViewers},
      {"/grpc.channelz.v1.Channelz/GetChannel", kViewers},
      {"/grpc.channelz.v1.Channelz/GetSubchannel", kViewers},
      {"/grpc.channelz.v1.Channelz/GetSocket", kViewers},
  };
  return kMethods;
}

std::optional<Audience> AudienceOf(std::string_view path) {
  for (const MethodRule& rule : AllMethods()) {
    if (rule.path == path) return rule.audience;
  }
  return std::nullopt;
}

bool Belongs(Kind kind, Audience audience) {
  switch (audience) {
    case Audience::kAgents:
      return kind == Kind::kAgent || kind == Kind::kWorkload;
    case Audience::kViewers:
      return kind == Kind::kViewer || kind == Kind::kEditor;
    case Audience::kEditors:
      return kind == Kind::kEditor;
    case Audience::kEverybody:
      return true;
  }
  return false;
}

std::string_view NameOf(Audience audience) {
  switch (audience) {
    case Audience::kAgents:
      return "agents";
    case Audience::kViewers:
      return "operators";
    case Audience::kEditors:
      return "editors";
    case Audience::kEverybody:
      break;
  }
  return "everybody";
}

}  // namespace whence::security
