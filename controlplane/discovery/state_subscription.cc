#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/utf8.h"
#include "controlplane/discovery/subscription.h"

namespace whence::discovery {
namespace {

// FNV-1a over the names and versions. Not a defence against anyone: the versions in it are
// content hashes already, this only folds them into one word that is the same after a restart.
std::string VersionOf(const std::vector<NamedResource>& resources) {
  uint64_t hash = 0xcbf29ce484222325;
  auto add = [&hash](const std::string& text) {
    for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    hash = (hash ^ 0xff) * 0x100000001b3;  // No text has this byte: "ab","c" is not "a","bc".
  };
  for (const auto& [name, resource] : resources) {
    add(name);
    add(resource.version);
  }
  return absl::StrFormat("%016x", hash);
}

}  // namespace

absl::Status StateSubscription::CheckLimits(const StateRequest& request) const {
  if (request.names.size() > limits_.max_names) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits_.max_names, " resource names subscribed"));
  }
  for (const std::string& name : request.names) {
    if (name.size() > limits_.max_name_bytes) {
      return absl::ResourceExhaustedError("a resource name is too long");
    }
  }
  return absl::OkStatus();
}

bool StateSubscription::ReplaceNames(const StateRequest& request) {
  bool was_wildcard = wildcard_;
  std::set<std::string> names(request.names.begin(), request.names.end());
  named_once_ |= !names.empty() || request.never_all;
  wildcard_ = !named_once_ || names.erase("*") > 0;
  bool asks_more = wildcard_ && !was_wildcard;
  for (const std::string& name : names) asks_more |= names_.count(name) == 0;
  names_ = std::move(names);
  // What is no longer subscribed is forgotten by both sides without a word.
  std::erase_if(held_, [this](const auto& entry) { return !Wants(entry.first); });
  std::erase_if(status_, [this](const auto& entry) { return !Wants(entry.first); });
  return asks_more;
}

absl::Status StateSubscription::OnRequest(const StateRequest& request) {
  if (absl::Status status = CheckLimits(request); !status.ok()) return status;
  if (!std::exchange(seen_request_, true)) {
    ReplaceNames(request);
    if (request.version_info.empty()) {
      must_answer_ = true;
    } else {
      came_with_ = request.version_info;
    }
    return absl::OkStatus();
  }
  if (pending_) {
    if (request.nonce != pending_->nonce) return absl::OkStatus();
    std::optional<std::string> error = request.error;
    if (error) {
      ++refusals_;
      error = std::string(CutUtf8(ValidUtf8(*error), limits_.max_error_bytes));
    }
    RecordAnswer(pending_->versions, error, request.when, &status_);
    last_nonce_ = pending_->nonce;
    pending_.reset();
  } else if (!last_nonce_.empty() && request.nonce != last_nonce_) {
    return absl::OkStatus();
  }
  if (ReplaceNames(request)) must_answer_ = true;
  return absl::OkStatus();
}

std::optional<StatePush> StateSubscription::Next(const ResourceMap& current, bool hold_removals) {
  if (!seen_request_ || pending_ || (!wildcard_ && names_.empty())) return std::nullopt;
  StatePush push;
  bool differs = false;
  for (const auto& [name, resource] : current) {
    if (!Wants(name)) continue;
    auto held = held_.find(name);
    differs |= held == held_.end() || held->second != resource.version;
    push.resources.emplace_back(name, resource);
  }
  bool removes = false;
  for (const auto& [name, version] : held_) removes |= current.count(name) == 0;
  push.version_info = VersionOf(push.resources);
  if (std::optional<std::string> had = std::exchange(came_with_, std::nullopt)) {
    must_answer_ |= *had != push.version_info;
    for (const auto& [name, resource] : push.resources) {
      if (must_answer_) break;
      // The stream before this one left the client with exactly this.
      held_[name] = resource.version;
      status_[name] = {.sent_version = resource.version, .acked_version = resource.version};
      differs = false;
    }
  }
  if (!must_answer_ && !differs && !removes) return std::nullopt;
  if (removes && hold_removals) return std::nullopt;

  for (const std::string& name : names_) {
    if (current.count(name) == 0) push.absent.push_back(name);
  }
  must_answer_ = false;
  push.nonce = absl::StrCat(nonce_prefix_, next_nonce_++);
  pending_ = Pending{push.nonce, {}};
  held_.clear();
  std::erase_if(status_, [&](const auto& entry) { return current.count(entry.first) == 0; });
  for (const auto& [name, resource] : push.resources) {
    held_[name] = resource.version;
    status_[name].sent_version = resource.version;
    pending_->versions.emplace_back(name, resource.version);
  }
  return push;
}

}  // namespace whence::discovery
