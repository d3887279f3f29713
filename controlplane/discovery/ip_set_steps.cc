#include "controlplane/discovery/ip_set_steps.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "whence/v1/resources.pb.h"

namespace whence::discovery {
namespace {

constexpr size_t kMaxHistory = 64;
constexpr size_t kV4PartBytes = IpSetSteps::kMaxPartBytes / net::kV4Record * net::kV4Record;
constexpr size_t kV6PartBytes = IpSetSteps::kMaxPartBytes / net::kV6Record * net::kV6Record;

size_t PartsOf(size_t bytes, size_t part) { return (bytes + part - 1) / part; }

}  // namespace

std::shared_ptr<const IpSetSteps> IpSetSteps::Make(const std::string& name,
                                                   net::PackedCidrs content,
                                                   std::shared_ptr<const IpSetSteps> previous) {
  if (previous && previous->content_ == content) return previous;
  std::shared_ptr<IpSetSteps> steps(new IpSetSteps(name, std::move(content)));
  if (!previous) return steps;
  steps->history_ = previous->history_;
  // What has a way back to this very content would be a circle.
  const auto same =
      std::find_if(steps->history_.begin(), steps->history_.end(),
                   [&](const Change& change) { return change.from == steps->version_; });
  steps->history_.erase(steps->history_.begin(),
                        same == steps->history_.end() ? steps->history_.begin() : same + 1);
  steps->history_.push_back(
      {previous->version_, std::make_shared<const net::CidrDelta>(
                               net::Difference(previous->content_, steps->content_))});
  size_t bytes = 0;
  size_t kept = 0;
  for (auto change = steps->history_.rbegin(); change != steps->history_.rend(); ++change) {
    bytes += change->delta->bytes();
    if (bytes > kMaxPartBytes || kept == kMaxHistory) break;
    ++kept;
  }
  steps->history_.erase(steps->history_.begin(),
                        steps->history_.end() - static_cast<ptrdiff_t>(kept));
  return steps;
}

size_t IpSetSteps::part_count() const {
  return std::max<size_t>(
      1, PartsOf(content_.v4.size(), kV4PartBytes) + PartsOf(content_.v6.size(), kV6PartBytes));
}

Resource IpSetSteps::StepFrom(const std::string& acknowledged) const {
  // "v+2/3": part 2 of 3 is there.
  if (acknowledged.size() > version_.size() && acknowledged[version_.size()] == '+' &&
      acknowledged.compare(0, version_.size(), version_) == 0) {
    size_t there = 0;
    const char* end = acknowledged.data() + acknowledged.size();
    const auto parsed = std::from_chars(acknowledged.data() + version_.size() + 1, end, there);
    if (parsed.ec == std::errc() && there >= 1 && there < part_count()) return Part(there);
  }
  for (auto change = history_.begin(); change != history_.end(); ++change) {
    if (change->from == acknowledged) return Step(change);
  }
  return Part(0);
}

std::shared_ptr<const std::string> IpSetSteps::Shared(
    const std::string& key, const std::function<std::string()>& make) const {
  // Under the lock: the second who asks waits for the first, and does not make it again.
  std::lock_guard lock(mutex_);
  std::weak_ptr<const std::string>& known = in_use_[key];
  std::shared_ptr<const std::string> bytes = known.lock();
  if (!bytes) {
    // Not make_shared: the bytes must go with their last user, though the map still knows of them.
    bytes = std::shared_ptr<const std::string>(new std::string(make()));
    known = bytes;
  }
  return bytes;
}

Resource IpSetSteps::Step(History::const_iterator change) const {
  const std::string& base = change->from;
  auto bytes = Shared(base, [&] {
    net::CidrDelta delta = *change->delta;
    for (auto next = std::next(change); next != history_.end(); ++next) {
      delta = net::Compose(delta, *next->delta);
    }
    v1::IpSetResource message;
    message.set_name(name_);
    message.set_base_version(base);
    message.set_v4(delta.added.v4);
    message.set_v6(delta.added.v6);
    message.set_removed_v4(delta.removed.v4);
    message.set_removed_v6(delta.removed.v6);
    return message.SerializeAsString();
  });
  return {version_, std::move(bytes), {}};
}

Resource IpSetSteps::Part(size_t index) const {
  const size_t count = part_count();
  const auto name_of = [&](size_t parts) { return absl::StrCat(version_, "+", parts, "/", count); };
  const bool is_last = index + 1 == count;
  auto bytes = Shared(name_of(index + 1), [&] {
    v1::IpSetResource message;
    message.set_name(name_);
    if (index > 0) message.set_base_version(name_of(index));
    const size_t v4_parts = PartsOf(content_.v4.size(), kV4PartBytes);
    if (index < v4_parts) {
      message.set_v4(content_.v4.substr(index * kV4PartBytes, kV4PartBytes));
    } else if (!content_.v6.empty()) {
      message.set_v6(content_.v6.substr((index - v4_parts) * kV6PartBytes, kV6PartBytes));
    }
    message.set_more(!is_last);
    return message.SerializeAsString();
  });
  return {is_last ? version_ : name_of(index + 1), std::move(bytes), {}};
}

std::shared_ptr<const std::string> IpSetSteps::Whole() const {
  return Shared("", [this] {
    v1::IpSetResource message;
    message.set_name(name_);
    message.set_v4(content_.v4);
    message.set_v6(content_.v6);
    return message.SerializeAsString();
  });
}

}  // namespace whence::discovery
