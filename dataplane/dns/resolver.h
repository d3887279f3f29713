// Asks DNS for names, again and again, on a thread of its own (c-ares).
#ifndef WHENCE_DATAPLANE_DNS_RESOLVER_H_
#define WHENCE_DATAPLANE_DNS_RESOLVER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "dataplane/dns/name_table.h"
#include "dataplane/os/unique_fd.h"

struct ares_channeldata;

namespace whence::dns {

struct ResolverOptions {
  std::string servers;  // "10.0.0.10,[fd00::1]:53"; empty: as /etc/resolv.conf has it
  NameLimits limits;
};

struct DnsStats {
  uint64_t answers = 0;
  uint64_t failures = 0;
  uint64_t names = 0;    // wanted now
  uint64_t failing = 0;  // of those
};

// Thread-safe.
class Resolver {
 public:
  // `on_change` is called on the resolver's thread with all that is known, whenever an answer
  // differed from the one before.
  static absl::StatusOr<std::unique_ptr<Resolver>> Start(const ResolverOptions& options,
                                                         std::function<void(Answers)> on_change);
  ~Resolver();

  // From now on these, and no others.
  void Want(std::set<std::string> names);
  DnsStats Stats() const;

 private:
  struct Question;
  Resolver(const ResolverOptions& options, std::function<void(Answers)> on_change,
           os::UniqueFd wake, ares_channeldata* channel);
  void Run();
  void Wait();
  void TakeWanted();
  void Ask(const std::string& name);
  void Note(bool answered);

  // Constant after construction.
  const std::function<void(Answers)> on_change_;
  const os::UniqueFd wake_;  // eventfd
  ares_channeldata* const channel_;

  // The thread's own.
  NameTable table_;
  bool changed_ = false;
  bool ending_ = false;

  std::atomic<bool> stop_ = false;
  std::atomic<uint64_t> answers_ = 0, failures_ = 0, names_ = 0, failing_ = 0;
  std::mutex mutex_;  // guards wanted_, has_wanted_
  std::set<std::string> wanted_;
  bool has_wanted_ = false;
  std::thread thread_;
};

}  // namespace whence::dns

#endif  // WHENCE_DATAPLANE_DNS_RESOLVER_H_
