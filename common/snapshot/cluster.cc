#include "common/snapshot/cluster.h"

#include <algorithm>
#include <numeric>

#include "common/base/strings.h"

namespace whence::snapshot {
namespace {

using std::string_view;

// RFC 6265, 5.4: "a=1; b=2", in one or several lines.
std::optional<string_view> CookieIn(string_view cookies, string_view name) {
  while (!cookies.empty()) {
    const size_t end = cookies.find(';');
    string_view one = cookies.substr(0, end);
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    if (one.size() > name.size() && one[name.size()] == '=' && one.substr(0, name.size()) == name) {
      return one.substr(name.size() + 1);
    }
    if (end == string_view::npos) break;
    cookies.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<string_view> ParameterIn(string_view query, string_view name) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const string_view one = query.substr(0, end);
    const size_t equals = std::min(one.find('='), one.size());
    if (one.substr(0, equals) == name) return one.substr(std::min(equals + 1, one.size()));
    if (end == string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return std::nullopt;
}

std::optional<string_view> TextToHash(const LoadBalancing& balancing,
                                      const RoutedRequest& request) {
  if (balancing.hash_on == LoadBalancing::HashOn::kQuery) {
    return ParameterIn(request.Query(), balancing.name);
  }
  const bool is_cookie = balancing.hash_on == LoadBalancing::HashOn::kCookie;
  const string_view name = is_cookie ? string_view("cookie") : string_view(balancing.name);
  for (const http::HeaderField& field : request.fields) {
    if (!EqualsIgnoreCase(field.name, name)) continue;
    if (!is_cookie) return field.value;
    if (const auto cookie = CookieIn(field.value, balancing.name)) return cookie;
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> LoadBalancing::HashOf(const RoutedRequest& request) const {
  if (hash_on == HashOn::kClient) {
    if (request.client == nullptr) return std::nullopt;
    const auto& bytes = request.client->ip().bytes();
    return StableHash({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  const auto text = TextToHash(*this, request);
  return text ? std::optional<uint64_t>(StableHash(*text)) : std::nullopt;
}

void Cluster::Finish() {
  upto.clear();
  table = {};
  const bool differ = std::any_of(endpoints.begin(), endpoints.end(), [&](const Endpoint& one) {
    return one.weight != endpoints.front().weight;
  });
  if (differ) {
    uint32_t sum = 0;
    for (const Endpoint& endpoint : endpoints) upto.push_back(sum += endpoint.weight);
  }
  if (balancing.policy != LoadBalancing::Policy::kMaglev) return;
  std::vector<std::pair<std::string, uint32_t>> names;
  for (const Endpoint& endpoint : endpoints) {
    names.emplace_back(endpoint.address.ToString(), endpoint.weight);
  }
  table = MaglevTable(names, balancing.table_size);
}

size_t Cluster::AtRandom(uint32_t random) const {
  const uint32_t sum = upto.empty() ? static_cast<uint32_t>(endpoints.size()) : upto.back();
  const auto share = static_cast<uint32_t>(uint64_t{random} * sum >> 32);
  if (upto.empty()) return share;
  return static_cast<size_t>(std::upper_bound(upto.begin(), upto.end(), share) - upto.begin());
}

size_t Cluster::AtTurn(uint32_t turn) const {
  if (upto.empty()) return turn % endpoints.size();
  // Steps of the golden ratio: neighbouring turns fall far apart, so that a heavy endpoint has its
  // turns among the others' and not in a row.
  return AtRandom(turn * 0x9e3779b9u);
}

}  // namespace whence::snapshot
