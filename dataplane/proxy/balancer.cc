#include "dataplane/proxy/balancer.h"

#include <algorithm>

namespace whence::proxy {
namespace {

using snapshot::LoadBalancing;

// As Envoy has it by default.
constexpr std::chrono::seconds kLongestEjection{300};

// The bundle lists the addresses of one workload side by side.
size_t InFamilyOf(const net::IpAddress& client, const snapshot::Cluster& cluster, size_t chosen) {
  const auto& endpoints = cluster.endpoints;
  const snapshot::Endpoint& wanted = endpoints[chosen];
  const auto is_sibling = [&](size_t at) {
    return at < endpoints.size() && !wanted.workload.empty() &&
           endpoints[at].workload == wanted.workload;
  };
  const auto fits = [&](size_t at) { return endpoints[at].address.ip.is_v4() == client.is_v4(); };
  if (fits(chosen)) return chosen;
  for (size_t at = chosen + 1; is_sibling(at); ++at) {
    if (fits(at)) return at;
  }
  for (size_t at = chosen; at > 0 && is_sibling(at - 1); --at) {
    if (fits(at - 1)) return at - 1;
  }
  return chosen;
}

// Sweeps come at whole multiples of the interval, so that nobody has to be woken for them.
SteadyTime NextSweep(SteadyTime at, const snapshot::OutlierDetection& outlier) {
  const SteadyTime::duration interval = outlier.interval;
  const auto beyond = at.time_since_epoch() % interval;
  return beyond.count() == 0 ? at : at + (interval - beyond);
}

uint32_t SweepsBetween(SteadyTime from, SteadyTime to, const snapshot::OutlierDetection& outlier) {
  return static_cast<uint32_t>(std::clamp<int64_t>((to - from) / outlier.interval, 0, UINT32_MAX));
}

bool IsCounted(const snapshot::Cluster& cluster) {
  return cluster.outlier.enabled() ||
         cluster.balancing.policy == LoadBalancing::Policy::kLeastRequest;
}

}  // namespace

void Balancer::Update(const snapshot::Snapshot& snapshot) {
  clusters_.resize(snapshot.clusters.size());
  States kept;
  for (size_t c = 0; c < clusters_.size(); ++c) {
    const snapshot::Cluster& known = snapshot.clusters[c];
    clusters_[c].known = &known;
    clusters_[c].states.clear();
    if (!IsCounted(known)) continue;
    for (const snapshot::Endpoint& endpoint : known.endpoints) {
      const Key key(known.name, endpoint.address);
      auto node = states_.extract(key);
      if (!node.empty()) kept.insert(std::move(node));
      EndpointState& state = kept[key];
      state.outlier = known.outlier;
      state.place = static_cast<uint32_t>(c);
      clusters_[c].states.push_back(&state);
    }
  }
  // What sessions still point to.
  for (auto at = states_.begin(); at != states_.end();) {
    const auto next = std::next(at);
    if (at->second.active > 0) {
      at->second.place = EndpointState::kGone;
      kept.insert(states_.extract(at));
    }
    at = next;
  }
  states_ = std::move(kept);
}

size_t Balancer::Pick(Cluster& cluster, std::optional<uint64_t> hash, uint32_t attempt) {
  const snapshot::Cluster& known = *cluster.known;
  switch (known.balancing.policy) {
    case LoadBalancing::Policy::kRoundRobin:
      return known.AtTurn(cluster.turn++);
    case LoadBalancing::Policy::kRandom:
      break;
    case LoadBalancing::Policy::kLeastRequest: {
      // The better of two (Mitzenmacher): nearly as good as the best of all, and nobody herds.
      const size_t a = known.AtRandom(Random32()), b = known.AtRandom(Random32());
      return cluster.states[b]->active < cluster.states[a]->active ? b : a;
    }
    case LoadBalancing::Policy::kMaglev:
      if (!hash) break;
      // Another place for another attempt, the same for everyone.
      return known.table.Find(*hash + attempt * 0x9e3779b97f4a7c15);
  }
  return known.AtRandom(Random32());
}

Balancer::Chosen Balancer::Take(Cluster& cluster, const net::IpAddress& client, size_t index) {
  index = InFamilyOf(client, *cluster.known, index);
  return {&cluster.known->endpoints[index],
          cluster.states.empty() ? nullptr : cluster.states[index]};
}

Balancer::Chosen Balancer::Next(uint32_t index, const net::IpAddress& client,
                                std::optional<uint64_t> hash, SteadyTime now) {
  Cluster& cluster = clusters_[index];
  const size_t count = cluster.known->endpoints.size();
  if (count == 0) return {};
  const Chosen first = Take(cluster, client, Pick(cluster, hash, 0));
  if (first.state == nullptr || first.state->ejected_until <= now) return first;
  // A few tries as the policy has it, then whoever is left.
  constexpr uint32_t kTries = 4;
  for (uint32_t attempt = 1; attempt <= kTries; ++attempt) {
    const Chosen chosen = Take(cluster, client, Pick(cluster, hash, attempt));
    if (chosen.state->ejected_until <= now) return chosen;
  }
  for (size_t at = 0; at < count; ++at) {
    const Chosen chosen = Take(cluster, client, at);
    if (chosen.state->ejected_until <= now) return chosen;
  }
  return first;
}

Balancer::Chosen Balancer::Another(uint32_t index, const net::IpAddress& client,
                                   const net::SocketAddress& failed, bool has_sidecar,
                                   SteadyTime now) {
  Cluster& cluster = clusters_[index];
  const size_t count = cluster.known->endpoints.size();
  Chosen ejected;
  const size_t start = count == 0 ? 0 : cluster.turn++ % count;
  for (size_t i = 0; i < count; ++i) {
    const Chosen chosen = Take(cluster, client, (start + i) % count);
    if (chosen.endpoint->address == failed || chosen.endpoint->has_sidecar != has_sidecar) continue;
    if (chosen.state == nullptr || chosen.state->ejected_until <= now) return chosen;
    ejected = chosen;
  }
  return ejected;
}

void Balancer::Report(EndpointState& state, int status, SteadyTime now) {
  const bool no_answer = status == 0;
  const bool gateway_error = no_answer || (status >= 502 && status <= 504);
  state.failures = no_answer || status >= 500 ? state.failures + 1 : 0;
  state.gateway_errors = gateway_error ? state.gateway_errors + 1 : 0;
  const auto reached = [](uint32_t count, uint32_t limit) { return limit != 0 && count >= limit; };
  if (reached(state.failures, state.outlier.consecutive_5xx) ||
      reached(state.gateway_errors, state.outlier.consecutive_gateway_errors)) {
    Eject(state, now);
  }
}

void Balancer::Eject(EndpointState& state, SteadyTime now) {
  if (state.place == EndpointState::kGone || state.ejected_until > now) return;
  const std::vector<EndpointState*>& all = clusters_[state.place].states;
  const auto out = std::count_if(all.begin(), all.end(),
                                 [&](const auto* one) { return one->ejected_until > now; });
  // One at least may always go, as in Envoy.
  const bool too_many = out > 0 && static_cast<uint64_t>(out + 1) * 100 >
                                       uint64_t{state.outlier.max_ejection_percent} * all.size();
  if (too_many || state.outlier.max_ejection_percent == 0) return;
  state.ejections -=
      std::min(state.ejections, SweepsBetween(state.ejected_until, now, state.outlier));
  ++state.ejections;
  state.failures = state.gateway_errors = 0;
  const SteadyTime over =
      now + std::min<std::chrono::milliseconds>(state.outlier.base_ejection_time * state.ejections,
                                                kLongestEjection);
  state.ejected_until = NextSweep(over, state.outlier);
  counters_.Add(Counter::kEndpointsEjected);
}

}  // namespace whence::proxy
