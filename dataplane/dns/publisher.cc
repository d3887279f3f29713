#include "dataplane/dns/publisher.h"

#include "dataplane/dns/cluster_names.h"

namespace whence::dns {

absl::Status Publisher::Publish(std::shared_ptr<const snapshot::Snapshot> base) {
  const std::lock_guard lock(mutex_);
  std::set<std::string> names = NamesIn(*base);
  if (resolver_ == nullptr && !names.empty()) {
    auto resolver =
        Resolver::Start(options_, [this](Answers answers) { OnAnswers(std::move(answers)); });
    if (!resolver.ok()) return resolver.status();
    resolver_ = *std::move(resolver);
    started_ = resolver_.get();
  }
  if (absl::Status status = sink_(WithAddresses(base, answers_)); !status.ok()) return status;
  base_ = std::move(base);
  if (resolver_ != nullptr) resolver_->Want(std::move(names));
  return absl::OkStatus();
}

void Publisher::OnAnswers(Answers answers) {
  const std::lock_guard lock(mutex_);
  answers_ = std::move(answers);
  if (base_ == nullptr) return;
  if (absl::Status status = sink_(WithAddresses(base_, answers_)); !status.ok()) on_error_(status);
}

DnsStats Publisher::Stats() const {
  const Resolver* resolver = started_;
  return resolver == nullptr ? DnsStats() : resolver->Stats();
}

}  // namespace whence::dns
