// One connection to an application or endpoint.
//
// It belongs to whoever uses it: a session, or the pool while it is idle. Its user is told of every
// event. Loop-affine; destroyed through EventLoop::Retire only, since an event of the same round
// may still name it.
#ifndef WHENCE_DATAPLANE_PROXY_UPSTREAM_H_
#define WHENCE_DATAPLANE_PROXY_UPSTREAM_H_

#include <array>
#include <memory>

#include "common/net/socket_address.h"
#include "common/proxy_protocol/handover.h"
#include "common/snapshot/cluster.h"
#include "dataplane/loop/event_loop.h"
#include "dataplane/proxy/buffer.h"
#include "dataplane/proxy/connection_quota.h"
#include "dataplane/proxy/source_choice.h"
#include "dataplane/proxy/stream.h"

namespace whence::proxy {

class Upstream;

class UpstreamUser {
 public:
  // Its state or readiness changed, or its timer ran out (Upstream::timed_out).
  virtual void OnUpstream(Upstream& upstream) = 0;

 protected:
  ~UpstreamUser() = default;
};

class Upstream final : public loop::EventHandler {
 public:
  static constexpr size_t kMaxAnnouncementBytes = 72;  // IPv6 addresses and a proof
  enum class State : uint8_t { kConnecting, kOpen, kFailed, kParked };

  // What makes two connections interchangeable: with a spoofed source that includes the client.
  struct Key {
    net::IpAddress source;  // unspecified: own
    net::SocketAddress destination;
    bool announced = false;  // begins with a proof that an agent speaks
    friend bool operator==(const Key&, const Key&) = default;
    template <typename H>
    friend H AbslHashValue(H h, const Key& key) {
      return H::combine(std::move(h), key.source, key.destination, key.announced);
    }
  };

  // `fd` is connecting or connected to `key.destination`; `user` outlives this object or is
  // replaced.
  Upstream(loop::EventLoop& loop, os::UniqueFd fd, const Key& key, UpstreamUser& user);

  // As the first thing on the connection says, with a proof, that the agent itself speaks on it.
  // Before Start.
  void Announce(const proxy_protocol::HandoverKey& receiver);

  // Before Start: sends as much of `bytes` as it takes. Open if it took any, failed if it was
  // refused; still connecting otherwise, with nothing sent. Returns how many were.
  size_t SendFirst(std::string_view bytes);
  // Registers with the loop and, unless it is open already, lets `timeout` run. False: out of
  // memory for the registration.
  bool Start(std::chrono::milliseconds timeout);
  void OnEvents(uint32_t events) override;

  State state() const { return state_; }
  int error() const { return error_; }  // errno, when kFailed
  bool timed_out() const { return timed_out_; }
  const Key& key() const { return key_; }
  // Its local address: the spoofed one, or what the kernel chose (asked for once).
  const net::IpAddress& local_address();

  // As its cluster has it, in place of the agent's own way to find out that the host is gone.
  void SetKeepAlive(const snapshot::KeepAlive& keep_alive);

  void set_user(UpstreamUser& user) { user_ = &user; }
  void ArmTimer(std::chrono::milliseconds delay) {
    timed_out_ = false;
    loop_.ArmAfter(timer_, delay);
  }
  void CancelTimer() { timer_.Cancel(); }

  // Closes it in order: what is still to be sent will be. If it had more to say the kernel resets
  // it. TIME_WAIT does not cost us the port: an explicitly bound port may be used again at once.
  void Close();
  // Ends the connection, with a reset if the other side has not heard our end, and keeps the socket
  // for another from the same address and port to the same destination; nobody is told of anything
  // meanwhile. False: it cannot be kept, and is closed. REQUIRES: neither side has more to say.
  bool Park();
  // Connects it again, for `user`; then as if it were new. 0, EINPROGRESS or another errno. REQUIRES:
  // parked, and not in this round of the loop, of which events may still be told.
  int Reconnect(UpstreamUser& user);

  Stream stream;
  ReadBuffer in;
  ConnectionPlace place;                      // where its cluster limits connections
  bool used = false;                          // carried a request before: it may have gone stale
  uint32_t requests = 0;                      // carried, where they are limited
  std::chrono::milliseconds idle_timeout{0};  // its cluster's own; 0: the agent's
  // The application may know by it who asks (a 401 was answered on it, as NTLM does): it stays with
  // its downstream connection.
  bool is_personal = false;
  bool is_spoofed = false;   // key().source is a client's address
  uint16_t source_port = 0;  // where it was bound explicitly

 private:
  void OnTimeout();
  // False: the connection is of no use.
  bool SendAnnouncement();

  loop::EventLoop& loop_;
  const Key key_;
  UpstreamUser* user_;
  State state_ = State::kConnecting;
  bool timed_out_ = false;
  int error_ = 0;
  // Short enough for any fresh socket to take it whole. Null: none, or it was sent.
  struct Announcement {
    std::array<char, kMaxAnnouncementBytes> bytes;
    size_t size = 0;
  };
  std::unique_ptr<Announcement> announcement_;
  net::IpAddress local_;
  loop::Timer timer_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_UPSTREAM_H_
