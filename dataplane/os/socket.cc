#include "dataplane/os/socket.h"

#include <linux/filter.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "dataplane/os/errno_status.h"
#include "dataplane/os/socket_address.h"

// In <linux/netfilter_ipv4.h>, which cannot be included beside <netinet/in.h>.
#ifndef SO_ORIGINAL_DST
#define SO_ORIGINAL_DST 80
#endif
#ifndef TCP_INQ  // in <linux/tcp.h>, which cannot be included beside <netinet/tcp.h>
#define TCP_INQ 36
#endif
#ifndef IP6T_SO_ORIGINAL_DST
#define IP6T_SO_ORIGINAL_DST 80
#endif

namespace whence::os {
namespace {

constexpr std::string_view kNetRaw = "CAP_NET_RAW or CAP_NET_ADMIN";

int SetInt(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : errno;
}

template <typename Call>
std::optional<net::SocketAddress> AddressFrom(Call&& call) {
  RawAddress raw;
  if (call(&raw) != 0) return std::nullopt;
  return FromRaw(raw);
}

}  // namespace

absl::StatusOr<UniqueFd> Listen(const net::SocketAddress& address, const ListenOptions& options) {
  const bool v4 = address.ip.is_v4();
  const std::string purpose = absl::StrCat("listen on ", address.ToString());
  UniqueFd fd(::socket(Family(address.ip), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoStatus(errno, "socket", purpose);

  const auto apply = [&](bool wanted, const char* name, auto&& set,
                         std::string_view capability = {}) -> absl::Status {
    if (!wanted) return absl::OkStatus();
    const int error = set();
    return error == 0 ? absl::OkStatus()
                      : ErrnoStatus(error, absl::StrCat("setsockopt ", name), purpose, capability);
  };
  const int s = fd.get();
  const absl::Status options_set[] = {
      apply(true, "SO_REUSEADDR", [&] { return SetReuseAddress(s); }),
      apply(options.reuse_port, "SO_REUSEPORT",
            [&] { return SetInt(s, SOL_SOCKET, SO_REUSEPORT, 1); }),
      apply(!v4, "IPV6_V6ONLY", [&] { return SetInt(s, IPPROTO_IPV6, IPV6_V6ONLY, 1); }),
      apply(
          options.transparent, "IP_TRANSPARENT", [&] { return SetTransparent(s, v4); }, kNetRaw),
      apply(
          options.mark != 0, "SO_MARK", [&] { return SetMark(s, options.mark); }, kNetRaw),
      apply(true, "TCP_NODELAY", [&] { return SetNoDelay(s); }),
      apply(true, "SO_KEEPALIVE", [&] { return SetKeepAlive(s); }),
      apply(options.user_timeout.count() > 0, "TCP_USER_TIMEOUT",
            [&] { return SetUserTimeout(s, options.user_timeout); }),
  };
  for (const absl::Status& status : options_set) {
    if (!status.ok()) return status;
  }
  if (const int error = Bind(s, address); error != 0) {
    return ErrnoStatus(error, "bind", purpose, "CAP_NET_BIND_SERVICE");
  }
  if (::listen(s, options.backlog) != 0) return ErrnoStatus(errno, "listen", purpose);
  // After listen(), which forgets it. Without it nothing is lost but a packet.
  if (options.delay_acks) DelayAcks(s);
  return fd;
}

bool IsFamilySupported(bool v4) {
  const UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return static_cast<bool>(fd) || errno != EAFNOSUPPORT;
}

int Accept(int listener, Accepted* out) {
  RawAddress raw;
  const int fd = ::accept4(listener, &raw.generic, &raw.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return errno;
  out->fd.Reset(fd);
  out->peer = FromRaw(raw);
  return 0;
}

std::optional<net::SocketAddress> LocalAddress(int fd) {
  return AddressFrom([&](RawAddress* raw) { return ::getsockname(fd, &raw->generic, &raw->size); });
}

std::optional<net::SocketAddress> PeerAddress(int fd) {
  return AddressFrom([&](RawAddress* raw) { return ::getpeername(fd, &raw->generic, &raw->size); });
}

std::optional<net::SocketAddress> OriginalDestination(int fd, bool v4) {
  return AddressFrom([&](RawAddress* raw) {
    return v4 ? ::getsockopt(fd, IPPROTO_IP, SO_ORIGINAL_DST, &raw->generic, &raw->size)
              : ::getsockopt(fd, IPPROTO_IPV6, IP6T_SO_ORIGINAL_DST, &raw->generic, &raw->size);
  });
}

UniqueFd NewTcpSocket(bool v4) {
  return UniqueFd(
      ::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
}

int SetNoDelay(int fd) { return SetInt(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

int DelayAcks(int fd) { return SetInt(fd, IPPROTO_TCP, TCP_QUICKACK, 0); }

int AckNow(int fd) { return SetInt(fd, IPPROTO_TCP, TCP_QUICKACK, 1); }

int SetLowWater(int fd, size_t bytes) {
  return SetInt(fd, SOL_SOCKET, SO_RCVLOWAT, static_cast<int>(bytes));
}

size_t UnreadBytes(int fd) {
  int bytes = 0;
  return ::ioctl(fd, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

size_t UnsentBytes(int fd) {
  int bytes = 0;
  return ::ioctl(fd, SIOCOUTQNSD, &bytes) == 0 && bytes > 0 ? static_cast<size_t>(bytes) : 0;
}

int TellRoomWhenSent(int fd) { return SetInt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 1); }

int TellRest(int fd) { return SetInt(fd, IPPROTO_TCP, TCP_INQ, 1); }

int SetTransparent(int fd, bool v4) {
  return v4 ? SetInt(fd, IPPROTO_IP, IP_TRANSPARENT, 1)
            : SetInt(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1);
}

int SetMark(int fd, uint32_t mark) {
  return SetInt(fd, SOL_SOCKET, SO_MARK, static_cast<int>(mark));
}

// At the IP level for IPv6 sockets too.
int SetBindNoPort(int fd) { return SetInt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1); }

int IgnoreNewConnections(int listener) {
  // Sees segments from the TCP header on; the flags are its byte 13. A SYN without ACK is dropped,
  // all else passes: the ACK that completes a handshake, and what follows.
  constexpr uint32_t kFlags = 13, kSyn = 0x02, kSynAck = 0x12;
  // clang-format off: an instruction a line.
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kFlags),      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, kSynAck),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSyn, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
  };
  // clang-format on
  const sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
  return ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0
             ? 0
             : errno;
}

AcceptQueue AcceptQueueOf(int listener) {
  tcp_info info{};
  socklen_t size = offsetof(tcp_info, tcpi_sacked) + sizeof(info.tcpi_sacked);
  if (::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  // Of a listener these two say how many wait and how many may (tcp_get_info in the kernel).
  return {info.tcpi_unacked, info.tcpi_sacked};
}

int SetReuseAddress(int fd) { return SetInt(fd, SOL_SOCKET, SO_REUSEADDR, 1); }

// A minute of silence, then a probe every 15 s; the fourth unanswered one ends the connection.
int SetKeepAlive(int fd, const KeepAlive& probing) {
  const auto seconds = [](std::chrono::seconds time) { return static_cast<int>(time.count()); };
  int error = SetInt(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (error == 0) error = SetInt(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(probing.time));
  if (error == 0) error = SetInt(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(probing.interval));
  if (error == 0) error = SetInt(fd, IPPROTO_TCP, TCP_KEEPCNT, probing.probes);
  return error;
}

int SetUserTimeout(int fd, std::chrono::milliseconds timeout) {
  return SetInt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT,
                static_cast<int>(std::min<int64_t>(timeout.count(), INT_MAX)));
}

int Bind(int fd, const net::SocketAddress& address) {
  const RawAddress raw = ToRaw(address);
  return ::bind(fd, &raw.generic, raw.size) == 0 ? 0 : errno;
}

int Connect(int fd, const net::SocketAddress& address) {
  const RawAddress raw = ToRaw(address);
  return ::connect(fd, &raw.generic, raw.size) == 0 ? 0 : errno;
}

int Dissolve(int fd) {
  const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
  return ::connect(fd, &nobody, sizeof(nobody)) == 0 ? 0 : errno;
}

bool IsAllAcknowledged(int fd) {
  int unacknowledged = 0;
  return ::ioctl(fd, SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0;
}

bool SendAhead(int fd, std::string_view bytes) {
  return ::send(fd, bytes.data(), bytes.size(), MSG_MORE | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(bytes.size());
}

int TakeError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  return error;
}

void ResetOnClose(int fd) {
  const linger reset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

}  // namespace whence::os
