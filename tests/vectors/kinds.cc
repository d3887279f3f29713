#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

constexpr Kind kKinds[] = {
    {"authz", RunAuthz},
    {"http1_requests", RunHttp1Request},
    {"http1_responses", RunHttp1Response},
    {"proxy_protocol", RunProxyProtocol},
    {"xff", RunXff},
};

}  // namespace

const Kind* FindKind(std::string_view name) {
  for (const Kind& kind : kKinds) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

Outcome CompareKeys(const nlohmann::json& out, const nlohmann::json& strict_out,
                    const nlohmann::json& got) {
  Outcome outcome{.passed = true};
  for (const auto& [key, wanted] : out.items()) {
    const nlohmann::json value = got.value(key, nlohmann::json());
    if (value == wanted) continue;
    if (strict_out.is_object() && strict_out.contains(key) && strict_out.at(key) == value) {
      outcome.strict = true;
      continue;
    }
    outcome.passed = false;
    outcome.wanted[key] = wanted;
    outcome.got[key] = value;
  }
  return outcome;
}

}  // namespace whence::vectors
