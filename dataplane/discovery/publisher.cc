#include "dataplane/discovery/publisher.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/strings.h"
#include "common/wire/snapshot_decoder.h"

namespace whence::discovery {
namespace {

// Decoders report one fault a line; a log line and a NACK shown in a table are better off with one
// line.
std::string OneLine(absl::string_view message) {
  return absl::StrReplaceAll(message, {{"\n", "; "}});
}

std::set<std::string> NamesOf(const v1::WorkloadBundle& bundle) {
  return {bundle.ip_sets().begin(), bundle.ip_sets().end()};
}

}  // namespace

Publisher::Publisher(std::string own_name, Sink sink, OnActive on_active, LastGoodStore* store,
                     Log& log)
    : own_name_(std::move(own_name)),
      sink_(std::move(sink)),
      on_active_(std::move(on_active)),
      store_(store),
      log_(log) {
  state_.Subscribe(kBundleType, {own_name_});
}

bool Publisher::StartFromLastGood() {
  if (store_ == nullptr) return false;
  absl::StatusOr<LastGood> last_good = store_->Load();
  if (!last_good.ok()) {
    if (!absl::IsNotFound(last_good.status())) {
      log_.Warning(
          absl::StrCat("last good configuration is not usable: ", last_good.status().message()));
    }
    return false;
  }
  if (last_good->bundle.name != own_name_) {
    log_.Warning(absl::StrCat("last good configuration is of \"", last_good->bundle.name,
                              "\", not of \"", own_name_, "\": not used"));
    return false;
  }
  v1::WorkloadBundle bundle;
  absl::Status status = bundle.ParseFromString(last_good->bundle.value)
                            ? absl::OkStatus()
                            : absl::DataLossError("the bundle cannot be parsed");
  status.Update(RestoreIpSets(last_good->ip_sets));
  if (status.ok()) status = Apply(bundle, last_good->bundle.version, sets_);
  if (!status.ok()) {
    log_.Warning(
        absl::StrCat("last good configuration is not usable: ", OneLine(status.message())));
    sets_.clear();
    return false;
  }
  state_.Restore(kBundleType, own_name_, last_good->bundle.version);
  for (const auto& [name, set] : sets_) state_.Restore(kIpSetType, name, set.version);
  active_resource_ = last_good->bundle;
  Activate(bundle, last_good->bundle.version, true);
  return true;
}

absl::Status Publisher::RestoreIpSets(const std::vector<ReceivedResource>& steps) {
  std::map<std::string, Gathering> contents;
  for (const ReceivedResource& step : steps) {
    v1::IpSetResource message;
    if (!message.ParseFromString(step.value)) {
      return absl::DataLossError("an ip set cannot be parsed");
    }
    Gathering& before = contents[step.name];
    IpSet& set = sets_[step.name];
    if (message.base_version().empty()) {
      before = {};
      set = {};
    } else if (message.base_version() != before.version) {
      return absl::DataLossError("a difference of an ip set does not fit");
    } else {
      set.difference_bytes += step.value.size();
    }
    absl::StatusOr<net::PackedCidrs> content =
        wire::AdvanceIpSet(message, std::move(before.content));
    if (!content.ok()) return content.status();
    before = {*std::move(content), step.version};
    set.version = step.version;
    set.files.push_back(step.version);
  }
  for (auto& [name, content] : contents) {
    IpSet& set = sets_[name];
    set.content = std::make_shared<const net::PackedCidrs>(std::move(content.content));
    set.set = std::make_shared<const net::CidrSet>(*set.content);
  }
  return absl::OkStatus();
}

std::vector<Request> Publisher::OpenStream(const Node& node) {
  WantIpSets();
  return state_.OpenStream(node);
}

void Publisher::CloseStream() {
  // Whatever was not accepted on this stream comes again on the next: its version is not among
  // those we name there.
  candidate_.reset();
  refused_for_.clear();
  state_.CloseStream();
  WantIpSets();
}

std::vector<Request> Publisher::Take(const Response& response) {
  requests_.clear();
  Received received = state_.Receive(response);
  if (!received.fault.empty() || (received.type != kBundleType && received.type != kIpSetType)) {
    log_.Warning(absl::StrCat("refused a response: ", received.fault));
    Send(state_.Answer(received, {}));
  } else if (received.type == kBundleType) {
    TakeBundle(std::move(received));
  } else {
    TakeIpSets(std::move(received));
  }
  return std::exchange(requests_, {});
}

void Publisher::TakeBundle(Received received) {
  if (!received.removed.empty()) {
    // No policy and "no configuration" are different things: only the control plane's silence is
    // not a reason to open up.
    log_.Warning(
        "the control plane has no configuration for this agent (any more): the active one stays");
  }
  if (received.resources.empty()) {
    for (const Refusal& refusal : received.refused)
      log_.Warning(absl::StrCat("refused the bundle: it ", refusal.message));
    Send(state_.Answer(received, {}));
    return;
  }
  Candidate candidate;
  candidate.resource = received.resources.front();  // only our own name is subscribed
  candidate.received = std::move(received);
  const bool parsed = candidate.bundle.ParseFromString(candidate.resource.value);
  candidate_ = std::move(candidate);
  const std::set<std::string> missing = std::exchange(refused_for_, {});
  if (!parsed) return RefuseCandidate("cannot be parsed");
  WantIpSets();
  // Sets that stayed subscribed though they did not exist: without asking, the server would say
  // nothing of them.
  for (const std::string& name : NamesOf(candidate_->bundle)) {
    if (missing.count(name) != 0 && sets_.count(name) == 0) Send(state_.AskAgain(kIpSetType, name));
  }
  TryCandidate();
}

Publisher::Tried Publisher::TryIpSet(const ReceivedResource& resource) {
  v1::IpSetResource message;
  if (!message.ParseFromString(resource.value)) {
    return {{}, false, absl::InvalidArgumentError("cannot be parsed")};
  }
  const std::string& base = message.base_version();
  net::PackedCidrs held;
  const auto gathered = gathering_.find(resource.name);
  const auto known = sets_.find(resource.name);
  if (!base.empty() && gathered != gathering_.end() && gathered->second.version == base) {
    held = std::move(gathered->second.content);
  } else if (!base.empty() && known != sets_.end() && known->second.version == base) {
    held = *known->second.content;
  } else if (!base.empty()) {
    return {{},
            true,
            absl::FailedPreconditionError(
                absl::StrCat("is a difference from version ", base, ", which is not here"))};
  }
  if (gathered != gathering_.end()) gathering_.erase(gathered);
  absl::StatusOr<net::PackedCidrs> content = wire::AdvanceIpSet(message, std::move(held));
  // A wrong base shows in the result at the latest.
  if (content.ok() && !base.empty() && !message.more() &&
      net::VersionOf(*content) != resource.version) {
    content = absl::FailedPreconditionError("does not come to what its version says");
  }
  if (!content.ok()) return {{}, !base.empty(), content.status()};
  if (message.more()) {
    gathering_[resource.name] = {*std::move(content), resource.version};
    return {};
  }
  content->v4.shrink_to_fit();
  content->v6.shrink_to_fit();
  // Nothing can fail any more, and what this replaces needs no room beside it while it is compiled;
  // the compiled set of before has to stay, for it decides.
  if (known != sets_.end()) known->second.content.reset();
  IpSet set;
  set.content = std::make_shared<const net::PackedCidrs>(*std::move(content));
  set.set = std::make_shared<const net::CidrSet>(*set.content);
  set.version = resource.version;
  if (known != sets_.end() && known->second.version == base) {
    set.files = known->second.files;
    set.difference_bytes = known->second.difference_bytes + resource.value.size();
  }
  return {std::move(set), false, absl::OkStatus()};
}

// A difference as it came, while the differences are few; else the whole set. What leads back to
// where the chain has been before needs no file.
absl::Status Publisher::SaveIpSet(ReceivedResource resource, IpSet* set) {
  const auto earlier = std::find(set->files.begin(), set->files.end(), set->version);
  if (earlier != set->files.end()) {
    set->files.erase(std::next(earlier), set->files.end());
    if (set->files.size() == 1) set->difference_bytes = 0;  // else it is more than there are
    return absl::OkStatus();
  }
  if (!set->files.empty() && set->files.size() < kMaxSetSteps / 2 &&
      set->difference_bytes < set->content->bytes() / 4) {
    set->files.push_back(set->version);
    return store_->SaveIpSet(std::move(resource));
  }
  set->files = {set->version};
  set->difference_bytes = 0;
  v1::IpSetResource whole;
  whole.set_name(resource.name);
  whole.set_v4(set->content->v4);
  whole.set_v6(set->content->v6);
  resource.value = whole.SerializeAsString();
  whole.Clear();  // megabytes
  return store_->SaveIpSet(std::move(resource));
}

void Publisher::TakeIpSets(Received received) {
  std::vector<Refusal> refusals;
  std::vector<std::string> unfit;
  std::vector<ReceivedResource> saved;
  for (const ReceivedResource& resource : received.resources) {
    Tried result = TryIpSet(resource);
    if (!result.status.ok()) {
      refusals.push_back({resource.name, OneLine(result.status.message())});
      if (result.does_not_fit) unfit.push_back(resource.name);
      continue;
    }
    if (!result.set) continue;
    sets_[resource.name] = *std::move(result.set);
    saved.push_back(resource);
  }
  for (const Refusal& refusal : refusals) {
    log_.Warning(absl::StrCat("refused ip set \"", refusal.name, "\": ", refusal.message));
  }
  for (const ReceivedResource& set : saved) {
    if (store_ == nullptr) break;
    IpSet& kept = sets_[set.name];
    const absl::Status status = SaveIpSet(set, &kept);
    if (status.ok()) continue;
    kept.files.clear();  // a chain with a hole leads nowhere: the next one is written whole
    log_.Warning(absl::StrCat("cannot keep an ip set on disk: ", status.message()));
  }
  bool ask_again = false;
  for (const ReceivedResource& resource : saved)
    ask_again |= refused_for_.erase(resource.name) != 0;
  Send(state_.Answer(received, refusals));
  for (const std::string& name : unfit) Send(state_.AskAgain(kIpSetType, name));
  // A removed set that the active bundle needs stays in use until a bundle without it arrives.
  if (candidate_.has_value()) {
    for (const std::string& name : received.removed) {
      if (NamesOf(candidate_->bundle).count(name) != 0) refused_for_.insert(name);
    }
    for (const Refusal& refusal : refusals) {
      if (std::find(unfit.begin(), unfit.end(), refusal.name) != unfit.end()) continue;  // to come
      if (NamesOf(candidate_->bundle).count(refusal.name) != 0) refused_for_.insert(refusal.name);
    }
    TryCandidate();
  } else if (ask_again && refused_for_.empty()) {
    Send(state_.AskAgain(kBundleType, own_name_));
  }
}

void Publisher::TryCandidate() {
  const std::set<std::string> names = NamesOf(candidate_->bundle);
  if (!refused_for_.empty()) {
    return RefuseCandidate(absl::StrCat("it needs ip set \"", absl::StrJoin(refused_for_, "\", \""),
                                        "\", which does not exist or was refused"));
  }
  const auto& versions = candidate_->bundle.ip_set_versions();
  for (const std::string& name : names) {
    const auto held = sets_.find(name);
    if (held == sets_.end()) return;  // on its way
    const auto version = versions.find(name);
    if (version != versions.end() && version->second != held->second.version) return;
  }
  const absl::Status status = Apply(candidate_->bundle, candidate_->resource.version, sets_);
  if (!status.ok()) return RefuseCandidate(OneLine(status.message()));
  AcceptCandidate(names);
}

void Publisher::AcceptCandidate(std::set<std::string> names) {
  const Candidate accepted = *std::exchange(candidate_, std::nullopt);
  for (auto it = sets_.begin(); it != sets_.end();) {
    it = names.count(it->first) != 0 ? std::next(it) : sets_.erase(it);
  }
  active_resource_ = accepted.resource;
  Activate(accepted.bundle, accepted.resource.version, false);
  Save(accepted.resource);
  Send(state_.Answer(accepted.received, {}));
  WantIpSets();
}

void Publisher::RefuseCandidate(const std::string& why) {
  const Candidate refused = *std::exchange(candidate_, std::nullopt);
  log_.Warning(absl::StrCat("refused bundle version ", refused.resource.version, ": ", why,
                            active_ == nullptr
                                ? "; there is no configuration to run"
                                : absl::StrCat("; still running version ", active_->version)));
  Send(state_.Answer(refused.received, {{refused.resource.name, why}}));
  WantIpSets();
}

absl::Status Publisher::Apply(const v1::WorkloadBundle& bundle, const std::string& version,
                              const IpSets& sets) {
  wire::IpSetMap map;
  for (const auto& [name, set] : sets) map[name] = set.set;
  absl::StatusOr<std::shared_ptr<const snapshot::Snapshot>> decoded =
      wire::Decode(bundle, version, map);
  if (!decoded.ok()) return decoded.status();
  return sink_(*std::move(decoded));
}

void Publisher::Activate(const v1::WorkloadBundle& bundle, const std::string& version,
                         bool from_last_good) {
  auto next = std::make_shared<ActiveConfig>();
  next->bundle = bundle;
  next->version = version;
  next->from_last_good = from_last_good;
  for (const std::string& name : NamesOf(bundle)) next->ip_set_versions[name] = sets_[name].version;
  log_.Info(absl::StrCat(from_last_good ? "running the last good configuration from disk, version "
                                        : "running configuration version ",
                         version, ", revision ", bundle.revision(), ", ", bundle.policies_size(),
                         " policies, ", bundle.ip_sets_size(), " ip sets"));
  active_ = std::move(next);  // `bundle` and `version` may have been the old one's
  on_active_(active_);
}

void Publisher::Save(const ReceivedResource& bundle) {
  if (store_ == nullptr) return;
  // What we hold and the active bundle does not name, a waiting candidate does; its sets will not
  // be sent again when it is accepted.
  std::set<std::pair<std::string, std::string>> held;
  for (const auto& [name, set] : sets_) {
    for (const std::string& version : set.files) held.emplace(name, version);
  }
  const absl::Status status = store_->SaveBundle(bundle, active_->ip_set_versions, held);
  if (!status.ok())
    log_.Warning(absl::StrCat("cannot keep the configuration on disk: ", status.message()));
}

void Publisher::WantIpSets() {
  std::set<std::string> wanted = refused_for_;
  if (active_ != nullptr) wanted.merge(NamesOf(active_->bundle));
  if (candidate_.has_value()) wanted.merge(NamesOf(candidate_->bundle));
  for (auto it = sets_.begin(); it != sets_.end();) {
    it = wanted.count(it->first) != 0 ? std::next(it) : sets_.erase(it);
  }
  std::erase_if(gathering_, [&](const auto& entry) { return wanted.count(entry.first) == 0; });
  Send(state_.Subscribe(kIpSetType, wanted));
}

void Publisher::Send(std::optional<Request> request) {
  if (request.has_value()) requests_.push_back(*std::move(request));
}

}  // namespace whence::discovery
