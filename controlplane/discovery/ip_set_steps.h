// One IpSet's content, and the ways to it.
//
//   has nothing          ->  v+1/3, v+2/3, v      parts, each added to the one before
//   has u, served before ->  v                    what was added and removed since u
//   has v+2/3            ->  v                    goes on where it was
//
// A short memory of the last changes is enough for agents that are connected, or were away for a
// moment; whoever was away for longer gets the parts.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_IP_SET_STEPS_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_IP_SET_STEPS_H_

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/net/packed_cidrs.h"
#include "controlplane/discovery/subscription.h"

namespace whence::discovery {

// Immutable; safe from any thread. What a step's message is made of is kept as long as a stream sends
// it: when a set changes, many ask for the same step at once.
class IpSetSteps final : public ResourceSteps {
 public:
  // No message is larger than about this.
  static constexpr size_t kMaxPartBytes = 256 << 10;

  // `previous`: what was served until now; null: nothing. Gives `previous` itself if the content is
  // the same.
  static std::shared_ptr<const IpSetSteps> Make(const std::string& name, net::PackedCidrs content,
                                                std::shared_ptr<const IpSetSteps> previous);

  const std::string& version() const { return version_; }

  Resource StepFrom(const std::string& acknowledged) const override;
  std::shared_ptr<const std::string> Whole() const override;

 private:
  struct Change {
    std::string from;
    std::shared_ptr<const net::CidrDelta> delta;
  };

  using History = std::vector<Change>;

  IpSetSteps(std::string name, net::PackedCidrs content)
      : name_(std::move(name)), content_(std::move(content)), version_(net::VersionOf(content_)) {}
  size_t part_count() const;
  Resource Part(size_t index) const;
  // From that change's content to this one.
  Resource Step(History::const_iterator change) const;
  // What `make` gives, or gave before and is still in use.
  std::shared_ptr<const std::string> Shared(const std::string& key,
                                            const std::function<std::string()>& make) const;

  const std::string name_;
  const net::PackedCidrs content_;
  const std::string version_;
  History history_;  // oldest first; each leads to the next one's `from`

  mutable std::mutex mutex_;
  // By mutex_; bounded by parts and history:
  mutable std::map<std::string, std::weak_ptr<const std::string>> in_use_;
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_IP_SET_STEPS_H_
