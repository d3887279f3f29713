#include <string>

#include "common/document/document.h"
#include "common/document/dry_run.h"
#include "common/document/ip_set.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/print.h"
#include "controlplane/ctl/text.h"
#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

std::string Plural(int count, const char* noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string TopologySummary(const v1::TrustTopologySpec& spec) {
  if (spec.has_num_trusted_proxies()) {
    return Plural(static_cast<int>(spec.num_trusted_proxies()), "trusted hop");
  }
  if (!spec.has_trusted_proxies()) return "the role's defaults";
  const v1::AddressSources& from = spec.trusted_proxies();
  return "trusted: " + Plural(from.cidrs_size(), "CIDR") + ", " +
         Plural(from.ip_sets_size(), "set") + ", " + Plural(from.workloads_size(), "selector");
}

// What a person would want to know first.
std::string Summary(const v1::Document& document) {
  switch (document.spec_case()) {
    case v1::Document::kTrustTopology:
      return TopologySummary(document.trust_topology());
    case v1::Document::kIpPolicy: {
      const v1::IpPolicySpec& spec = document.ip_policy();
      return v1::IpPolicySpec::Action_Name(spec.action()) + ", " +
             Plural(spec.rules_size(), "rule") + (document::IsDryRun(document) ? ", dry run" : "") +
             (spec.expires().empty() ? "" : ", expires " + spec.expires());
    }
    case v1::Document::kIpSet:
      return Plural(static_cast<int>(document::CountOf(document.ip_set())), "CIDR");
    case v1::Document::kGateway:
      return Plural(document.gateway().servers_size(), "server");
    case v1::Document::kVirtualService:
      return Plural(document.virtual_service().hosts_size(), "host");
    case v1::Document::kDestinationRule:
      return document.destination_rule().host() + ", " +
             Plural(document.destination_rule().subsets_size(), "subset");
    case v1::Document::kServiceEntry:
      return Plural(document.service_entry().hosts_size(), "host");
    case v1::Document::kService:
      return Plural(document.service().ports_size(), "port");
    default:
      return "";
  }
}

void PrintTable(const v1::GetResponse& response, std::ostream& out) {
  Table table({"NAMESPACE", "NAME", "KIND", "SUMMARY", "REVISION", "CHANGED", "AUTHOR"});
  for (const v1::StoredDocument& stored : response.documents()) {
    const v1::Document& document = stored.document();
    table.Add({document.metadata().namespace_(), document.metadata().name(), document.kind(),
               Summary(document), std::to_string(stored.revision()),
               TimeText(stored.time_us()).substr(0, 19) + "Z",
               AuthorText(stored.author(), stored.author_verified())});
  }
  table.Print(out);
}

// Both give back what apply takes.
void PrintYaml(const v1::GetResponse& response, std::ostream& out) {
  const char* separator = "";
  for (const v1::StoredDocument& stored : response.documents()) {
    out << separator << document::ToYaml(stored.document());
    separator = "---\n";
  }
}

void PrintJson(const v1::GetResponse& response, bool single, std::ostream& out) {
  if (single && response.documents_size() == 1) {
    out << document::ToJson(response.documents(0).document());
    return;
  }
  out << R"({"apiVersion": "v1", "kind": "List", "items": [)";
  const char* separator = "\n";
  for (const v1::StoredDocument& stored : response.documents()) {
    out << separator << document::ToJson(stored.document());
    separator = ",\n";
  }
  out << "]}\n";
}

}  // namespace

int Get(const GetOptions& options, Session& session) {
  v1::GetResponse response;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->Get(&context, options.request, &response);
  if (!status.ok()) return PrintFailure(session, status);
  if (options.for_export) {
    for (v1::StoredDocument& stored : *response.mutable_documents()) {
      stored.mutable_document()->mutable_metadata()->clear_resource_version();
    }
  }
  switch (options.output) {
    case Output::kYaml:
      PrintYaml(response, session.out);
      break;
    case Output::kJson:
      PrintJson(response, !options.request.name().empty(), session.out);
      break;
    case Output::kTable:
      if (response.documents().empty()) {
        session.err << "whencectl: there are none\n";
      } else {
        PrintTable(response, session.out);
      }
  }
  return kGood;
}

}  // namespace whence::ctl
