#include "controlplane/discovery/subscription.h"

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"

namespace whence::discovery {
namespace {

bool IsNameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '/';
}

// A dot belongs to a name only inside it, so that a sentence may end with one.
bool ContinuesAt(std::string_view text, size_t at) {
  if (at >= text.size()) return false;
  if (text[at] == '.') return at + 1 < text.size() && IsNameChar(text[at + 1]);
  return IsNameChar(text[at]);
}

bool Mentions(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
    bool starts = at == 0 || (!IsNameChar(text[at - 1]) && text[at - 1] != '.');
    if (starts && !ContinuesAt(text, at + name.size())) return true;
  }
  return false;
}

// Wire size, near enough: the bytes, the strings and the framing of Resource and Any.
size_t SizeOf(const std::string& name, const Resource& resource) {
  return resource.head.size() + resource.bytes->size() + name.size() + resource.version.size() + 64;
}

}  // namespace

void RecordAnswer(const std::vector<std::pair<std::string, std::string>>& sent_versions,
                  const std::optional<std::string>& error, WallTime when, StatusMap* status) {
  bool any_named = false;
  if (error) {
    for (const auto& [name, version] : sent_versions) any_named |= Mentions(*error, name);
  }
  for (const auto& [name, version] : sent_versions) {
    auto it = status->find(name);
    // Unsubscribed meanwhile, or sent anew under another type's rules: no longer ours to judge.
    if (it == status->end() || it->second.sent_version != version) continue;
    it->second.answered = when;
    if (error && (!any_named || Mentions(*error, name))) {
      it->second.refused_version = version;
      it->second.error = *error;
    } else {
      it->second.acked_version = version;
      it->second.refused_version.clear();
      it->second.error.clear();
    }
  }
}

absl::Status DeltaSubscription::CheckLimits(const DeltaRequest& request) const {
  auto too_long = [this](const std::string& text) { return text.size() > limits_.max_name_bytes; };
  size_t added = 0;
  for (const std::string& name : request.subscribe) {
    if (too_long(name)) return absl::ResourceExhaustedError("a resource name is too long");
    if (names_.count(name) == 0) ++added;
  }
  if (names_.size() + added > limits_.max_names) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits_.max_names, " resource names subscribed"));
  }
  if (seen_request_) return absl::OkStatus();
  if (request.initial_versions.size() > limits_.max_names) {
    return absl::ResourceExhaustedError(
        absl::StrCat("more than ", limits_.max_names, " initial resource versions"));
  }
  for (const auto& [name, version] : request.initial_versions) {
    if (too_long(name) || too_long(version)) {
      return absl::ResourceExhaustedError("an initial resource version is too long");
    }
  }
  return absl::OkStatus();
}

// A refused version is not sent again, since `held_` has it; that of a step is not the resource's.
// Once another version was acknowledged the status no longer tells of the refusal. Were the refused
// one then current again and not sent, the client would seem to run it.
void DeltaSubscription::NoteGivenUp() {
  for (const auto& [name, version] : pending_->versions) {
    const auto status = status_.find(name);
    const auto target = pending_->leads_to.find(name);
    if (status == status_.end() || target == pending_->leads_to.end()) continue;
    if (status->second.refused_version == version) {
      given_up_[name] = target->second;
    } else if (status->second.acked_version == version) {
      given_up_.erase(name);
    }
  }
}

void DeltaSubscription::Subscribe(const std::string& name, bool first) {
  if (name == "*") {
    wildcard_ = true;
    greet_ = held_.empty();
    return;
  }
  names_.insert(name);
  given_up_.erase(name);
  // Whoever names a resource waits for an answer, even if we believe that it has it: it may have
  // dropped it. Only in the first request of a stream the initial versions say what it has.
  if (!first || held_.count(name) == 0) unanswered_.insert(name);
}

void DeltaSubscription::Unsubscribe(const std::string& name) {
  if (name == "*") {
    wildcard_ = false;
    greet_ = false;
    std::erase_if(held_, [this](const auto& entry) { return names_.count(entry.first) == 0; });
    std::erase_if(status_, [this](const auto& entry) { return names_.count(entry.first) == 0; });
    std::erase_if(unanswered_, [this](const auto& open) { return names_.count(open) == 0; });
    std::erase_if(given_up_, [this](const auto& entry) { return names_.count(entry.first) == 0; });
    return;
  }
  names_.erase(name);
  if (wildcard_) {
    // The wildcard still covers it, and the client has just forgotten it: tell which it is.
    unanswered_.insert(name);
    return;
  }
  held_.erase(name);
  status_.erase(name);
  unanswered_.erase(name);
  given_up_.erase(name);
}

absl::Status DeltaSubscription::OnRequest(const DeltaRequest& request) {
  if (absl::Status status = CheckLimits(request); !status.ok()) return status;
  bool first = !std::exchange(seen_request_, true);
  if (first) {
    held_ = request.initial_versions;
    for (const auto& [name, version] : held_) {
      status_[name] = {.sent_version = version, .acked_version = version};
    }
    if (request.subscribe.empty() && !request.never_all) Subscribe("*", first);
  } else if (pending_ && request.nonce == pending_->nonce) {
    std::optional<std::string> error = request.error;
    if (error) {
      ++refusals_;
      error = std::string(CutUtf8(ValidUtf8(*error), limits_.max_error_bytes));
    }
    RecordAnswer(pending_->versions, error, request.when, &status_);
    NoteGivenUp();
    pending_.reset();
  }
  for (const std::string& name : request.unsubscribe) Unsubscribe(name);
  for (const std::string& name : request.subscribe) Subscribe(name, first);
  return absl::OkStatus();
}

bool DeltaSubscription::AddUpdates(const ResourceMap& current, DeltaPush* push) {
  size_t bytes = 0;
  for (const auto& [name, resource] : current) {
    if (!Wants(name)) continue;
    auto held = held_.find(name);
    bool is_held = held != held_.end() && held->second == resource.version;
    const bool asked_for = unanswered_.count(name) != 0;
    if (is_held && !asked_for) continue;
    if (auto given_up = given_up_.find(name);
        !asked_for && given_up != given_up_.end() && given_up->second == resource.version) {
      continue;
    }
    if (bytes >= limits_.max_response_bytes) return false;
    // Who asks for what we believe it has may have lost it; else it runs what it acknowledged.
    const auto status = status_.find(name);
    const bool has_some = !asked_for && status != status_.end();
    Resource sent =
        resource.steps
            ? resource.steps->StepFrom(has_some ? status->second.acked_version : std::string())
            : resource;
    bytes += SizeOf(name, sent);
    push->resources.emplace_back(name, std::move(sent));
  }
  return true;
}

void DeltaSubscription::AddRemovals(const ResourceMap& current, DeltaPush* push) {
  // Held from an earlier stream and deleted meanwhile counts as well, subscribed again or not: a
  // rule that outlives its deletion is a hole.
  for (const auto& [name, version] : held_) {
    if (current.count(name) == 0) push->removed.push_back(name);
  }
  for (const std::string& name : unanswered_) {
    if (current.count(name) > 0 || held_.count(name) > 0) continue;
    push->removed.push_back(name);
    if (names_.count(name) > 0) push->absent.push_back(name);
  }
}

std::optional<DeltaPush> DeltaSubscription::Next(const ResourceMap& current, bool hold_removals) {
  if (!seen_request_ || pending_) return std::nullopt;
  DeltaPush push;
  bool complete = AddUpdates(current, &push);
  if (complete && !hold_removals) AddRemovals(current, &push);
  if (push.resources.empty() && push.removed.empty() && !greet_) return std::nullopt;
  greet_ = false;

  push.nonce = absl::StrCat(nonce_prefix_, next_nonce_++);
  pending_ = Pending{push.nonce, {}, {}};
  for (const auto& [name, resource] : push.resources) {
    pending_->leads_to[name] = current.at(name).version;
    held_[name] = resource.version;
    unanswered_.erase(name);
    status_[name].sent_version = resource.version;
    pending_->versions.emplace_back(name, resource.version);
  }
  for (const std::string& name : push.removed) {
    held_.erase(name);
    unanswered_.erase(name);
    status_.erase(name);
    given_up_.erase(name);
  }
  return push;
}

}  // namespace whence::discovery
