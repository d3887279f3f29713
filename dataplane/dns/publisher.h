// Between configuration and workers: fills in the addresses of the names in a snapshot, and
// publishes it anew when they change.
//
// A snapshot without names passes through, and there is no resolver. One with names is published
// at once with what is known; until the first answer their clusters have no endpoint.
#ifndef WHENCE_DATAPLANE_DNS_PUBLISHER_H_
#define WHENCE_DATAPLANE_DNS_PUBLISHER_H_

#include <functional>
#include <memory>
#include <mutex>

#include "absl/status/status.h"
#include "common/snapshot/snapshot.h"
#include "dataplane/dns/resolver.h"

namespace whence::dns {

// Thread-safe.
class Publisher {
 public:
  using Sink = std::function<absl::Status(std::shared_ptr<const snapshot::Snapshot>)>;
  // `on_error`: told on the resolver's thread when the sink refuses what only DNS has changed.
  Publisher(ResolverOptions options, Sink sink, std::function<void(const absl::Status&)> on_error)
      : options_(std::move(options)), sink_(std::move(sink)), on_error_(std::move(on_error)) {}

  // The sink's answer. What it refuses leaves the one before in place.
  absl::Status Publish(std::shared_ptr<const snapshot::Snapshot> base);
  // All zero as long as there was no name. Waits for nobody.
  DnsStats Stats() const;

 private:
  void OnAnswers(Answers answers);

  const ResolverOptions options_;
  const Sink sink_;
  const std::function<void(const absl::Status&)> on_error_;

  std::mutex mutex_;  // guards base_ and answers_, and keeps publications in order
  std::shared_ptr<const snapshot::Snapshot> base_;
  Answers answers_;
  std::atomic<Resolver*> started_ = nullptr;
  std::unique_ptr<Resolver> resolver_;  // last: its thread ends before what it calls goes
};

}  // namespace whence::dns

#endif  // WHENCE_DATAPLANE_DNS_PUBLISHER_H_
