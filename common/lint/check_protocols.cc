// HTTP's fields on ports that speak TCP.
#include <charconv>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/document/service_port.h"
#include "common/lint/report.h"

namespace whence::lint {
namespace {

using document::Speaks;

// What documents say of the ports of workloads that `policy` may select.
class Ports {
 public:
  Ports(const Whole& whole, const v1::Document& policy) {
    const Labels& selector = policy.ip_policy().selector().match_labels();
    const std::string& space = policy.metadata().namespace_();
    for (const v1::Document& document : whole.documents) {
      const std::string& other = document.metadata().namespace_();
      if (document.has_service() && !document.service().selector().empty() &&
          CanMeet(whole, space, selector, other, document.service().selector())) {
        for (const v1::ServiceSpec::Port& port : document.service().ports()) Add(port);
      }
      if (document.has_gateway() &&
          CanMeet(whole, space, selector, other, document.gateway().selector())) {
        for (const v1::GatewayServer& server : document.gateway().servers()) Add(server.port());
      }
    }
  }

  Speaks Of(uint32_t port) const {
    const auto found = ports_.find(port);
    return found == ports_.end() ? Speaks::kUndeclared : found->second;
  }
  // Ports are declared, and none of them speaks, or might speak, HTTP.
  bool AllTcp() const {
    for (const auto& [port, speaks] : ports_) {
      if (speaks != Speaks::kTcp) return false;
    }
    return !ports_.empty();
  }

 private:
  void Add(const v1::ServiceSpec::Port& port) {
    uint32_t target = port.port();
    const std::string& text = port.target_port();
    if (!text.empty()) std::from_chars(text.data(), text.data() + text.size(), target);
    Note(target, document::SpokenAt(port));
  }
  void Add(const v1::GatewayServer::Port& port) {
    const Speaks speaks = port.protocol() == "TCP" ? Speaks::kTcp : Speaks::kHttp;
    Note(port.number(), speaks);
    if (port.target_port() != 0) Note(port.target_port(), speaks);
  }
  // Two documents may speak of different workloads: what they do not agree on is not known.
  void Note(uint32_t port, Speaks speaks) {
    const auto [at, is_new] = ports_.emplace(port, speaks);
    if (!is_new && at->second != speaks) at->second = Speaks::kUndeclared;
  }

  std::map<uint32_t, Speaks> ports_;
};

// The first field of the rule that only a request has; empty: none.
std::string HttpField(const v1::PolicyRule& rule, const v1::PolicyOperation* operation,
                      const std::string& operation_path, const std::string& rule_path) {
  if (operation != nullptr) {
    if (!operation->methods().empty()) return operation_path + ".methods";
    if (!operation->not_methods().empty()) return operation_path + ".notMethods";
    if (!operation->paths().empty()) return operation_path + ".paths";
    if (!operation->not_paths().empty()) return operation_path + ".notPaths";
    if (!operation->hosts().empty()) return operation_path + ".hosts";
    if (!operation->not_hosts().empty()) return operation_path + ".notHosts";
  }
  for (int i = 0; i < rule.when_size(); ++i) {
    if (rule.when(i).key().rfind("request.headers", 0) == 0) {
      return absl::StrCat(rule_path, ".when[", i, "].key");
    }
  }
  return "";
}

}  // namespace

void CheckProtocols(const Whole& whole, Report& report) {
  const v1::IpPolicySpec& spec = report.document().ip_policy();
  const Ports ports(whole, report.document());
  const char* effect =
      spec.action() == v1::IpPolicySpec::ALLOW
          ? "there the whole rule never matches"
          : "there this field is dropped, and the rule denies every connection that the rest of "
            "it matches";
  for (int r = 0; r < spec.rules_size(); ++r) {
    const v1::PolicyRule& rule = spec.rules(r);
    const std::string rule_path = absl::StrCat("spec.rules[", r, "]");
    const auto check = [&](const v1::PolicyOperation* operation, const std::string& path) {
      const std::string field = HttpField(rule, operation, path, rule_path);
      if (field.empty()) return false;
      if (operation == nullptr || operation->ports().empty()) {
        if (!ports.AllTcp()) return false;
        report.Warn(field, absl::StrCat("is of HTTP requests, but every declared port of these "
                                        "workloads speaks TCP: ",
                                        effect));
        return true;
      }
      for (const std::string& text : operation->ports()) {
        uint32_t port = 0;
        std::from_chars(text.data(), text.data() + text.size(), port);
        if (ports.Of(port) != Speaks::kTcp) continue;
        report.Warn(field, absl::StrCat("is of HTTP requests, but port ", port,
                                        " is declared TCP: ", effect));
        return true;
      }
      return false;
    };
    if (rule.to().empty()) check(nullptr, rule_path);
    for (int t = 0; t < rule.to_size(); ++t) {
      if (check(&rule.to(t).operation(), absl::StrCat(rule_path, ".to[", t, "].operation"))) break;
    }
  }
}

}  // namespace whence::lint
