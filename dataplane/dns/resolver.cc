#include "dataplane/dns/resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/str_cat.h"

namespace whence::dns {
namespace {

SteadyTime Now() { return std::chrono::steady_clock::now(); }

std::optional<net::IpAddress> ToAddress(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    std::array<uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
    return net::IpAddress::FromV4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    net::IpAddress::Bytes bytes;
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
    return net::IpAddress::FromV6(bytes);
  }
  return std::nullopt;
}

// The full name of a Service is no beginning of another: the search list would only ask in vain.
std::string AbsoluteName(const std::string& name) {
  constexpr std::string_view kCluster = ".svc.cluster.local";
  const bool is_service =
      name.size() > kCluster.size() &&
      name.compare(name.size() - kCluster.size(), kCluster.size(), kCluster) == 0;
  return is_service ? name + "." : name;
}

}  // namespace

// One question under way. c-ares answers each, at the latest when the channel is destroyed.
struct Resolver::Question {
  Resolver& resolver;
  std::string name;

  static void Answered(void* self, int status, int, ares_addrinfo* result) {
    const std::unique_ptr<Question> question(static_cast<Question*>(self));
    question->Take(status, result);
    if (result != nullptr) ares_freeaddrinfo(result);
  }

  void Take(int status, const ares_addrinfo* result) {
    if (resolver.ending_) return;
    std::vector<net::IpAddress> addresses;
    int ttl = INT32_MAX;
    if (status == ARES_SUCCESS && result != nullptr) {
      for (const ares_addrinfo_node* node = result->nodes; node != nullptr; node = node->ai_next) {
        const auto address = ToAddress(*node->ai_addr);
        if (!address) continue;
        addresses.push_back(*address);
        ttl = std::min(ttl, node->ai_ttl);
      }
    }
    resolver.Note(!addresses.empty());
    if (addresses.empty()) return resolver.table_.Failed(name, Now());
    resolver.changed_ |= resolver.table_.Answered(name, std::move(addresses),
                                                  std::chrono::seconds(std::max(ttl, 0)), Now());
  }
};

absl::StatusOr<std::unique_ptr<Resolver>> Resolver::Start(const ResolverOptions& options,
                                                          std::function<void(Answers)> on_change) {
  os::UniqueFd wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!wake) return absl::ResourceExhaustedError("dns: no descriptor for an eventfd");
  ares_library_init(ARES_LIB_INIT_ALL);
  ares_options ares{};
  ares.timeout = 2'000;
  ares.tries = 2;
  ares_channel channel = nullptr;
  int status = ares_init_options(&channel, &ares, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
  if (status == ARES_SUCCESS && !options.servers.empty()) {
    status = ares_set_servers_ports_csv(channel, options.servers.c_str());
  }
  if (status != ARES_SUCCESS) {
    if (channel != nullptr) ares_destroy(channel);
    ares_library_cleanup();
    return absl::InvalidArgumentError(
        absl::StrCat("dns: servers \"", options.servers, "\": ", ares_strerror(status)));
  }
  return std::unique_ptr<Resolver>(
      new Resolver(options, std::move(on_change), std::move(wake), channel));
}

Resolver::Resolver(const ResolverOptions& options, std::function<void(Answers)> on_change,
                   os::UniqueFd wake, ares_channeldata* channel)
    : on_change_(std::move(on_change)),
      wake_(std::move(wake)),
      channel_(channel),
      table_(options.limits),
      thread_([this] { Run(); }) {}

Resolver::~Resolver() {
  stop_ = true;
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
  thread_.join();
  ending_ = true;
  ares_destroy(channel_);
  ares_library_cleanup();
}

void Resolver::Want(std::set<std::string> names) {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = std::move(names);
    has_wanted_ = true;
  }
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof(one));
}

DnsStats Resolver::Stats() const { return {answers_, failures_, names_, failing_}; }

void Resolver::TakeWanted() {
  std::set<std::string> names;
  {
    const std::lock_guard lock(mutex_);
    if (!has_wanted_) return;
    has_wanted_ = false;
    names = std::move(wanted_);
  }
  table_.Want(names, Now());
}

void Resolver::Note(bool answered) { ++(answered ? answers_ : failures_); }

void Resolver::Ask(const std::string& name) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting opens a socket per address; balancing needs no order
  ares_getaddrinfo(channel_, AbsoluteName(name).c_str(), nullptr, &hints, &Question::Answered,
                   new Question{*this, name});
}

void Resolver::Wait() {
  ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
  const int mask = ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM);
  std::vector<pollfd> polled = {{wake_.get(), POLLIN, 0}};
  for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
    const int events = (ARES_GETSOCK_READABLE(mask, i) ? POLLIN : 0) |
                       (ARES_GETSOCK_WRITABLE(mask, i) ? POLLOUT : 0);
    if (events != 0) polled.push_back({sockets[i], static_cast<short>(events), 0});
  }
  int wait_ms = -1;
  if (const auto next = table_.NextDue()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Now());
    wait_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
  }
  timeval limit{60, 0}, left{};
  const timeval* ares = ares_timeout(channel_, polled.size() > 1 ? &limit : nullptr, &left);
  if (ares != nullptr) {
    const auto ms = static_cast<int>(ares->tv_sec * 1000 + ares->tv_usec / 1000 + 1);
    wait_ms = wait_ms < 0 ? ms : std::min(wait_ms, ms);
  }
  poll(polled.data(), polled.size(), wait_ms);
  uint64_t count;
  (void)!read(wake_.get(), &count, sizeof(count));
  for (size_t i = 1; i < polled.size(); ++i) {
    const short seen = polled[i].revents;
    ares_process_fd(channel_, seen & (POLLIN | POLLERR | POLLHUP) ? polled[i].fd : ARES_SOCKET_BAD,
                    seen & POLLOUT ? polled[i].fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
}

void Resolver::Run() {
  while (!stop_) {
    TakeWanted();
    for (const std::string& name : table_.TakeDue(Now())) Ask(name);
    names_ = table_.size();
    failing_ = table_.failing();
    if (changed_) {
      changed_ = false;
      on_change_(table_.Known());
    }
    if (!stop_) Wait();
  }
}

}  // namespace whence::dns
