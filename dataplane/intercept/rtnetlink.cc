#include "dataplane/intercept/rtnetlink.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"

namespace whence::intercept {
namespace {

constexpr char kLoopback[] = "lo";
constexpr uint8_t kTcpListen = 10;  // TCP_LISTEN of the kernel's state table

using Buffer = std::array<char, 8192>;
using Visitor = std::function<void(const nlmsghdr*)>;

int VisitMessage(const nlmsghdr* header, void* data) {
  (*static_cast<const Visitor*>(data))(header);
  return MNL_CB_OK;
}

uint8_t AddressFamily(Family family) { return family == Family::kIpv6 ? AF_INET6 : AF_INET; }

// Sends one request and hands every answer to `visit`; returns 0 or the errno of the kernel's
// refusal.
int Exchange(int bus, nlmsghdr* request, const Visitor& visit) {
  request->nlmsg_seq = 1;
  mnl_socket* socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
  if (socket == nullptr) return errno;
  int error = 0;
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
      mnl_socket_sendto(socket, request, request->nlmsg_len) < 0) {
    error = errno;
  }
  // Dump answers come in pages of up to 32 KB.
  std::array<char, 32768> answer;
  const unsigned int port = mnl_socket_get_portid(socket);
  int state = MNL_CB_OK;
  while (error == 0 && state > MNL_CB_STOP) {
    const ssize_t size = mnl_socket_recvfrom(socket, answer.data(), answer.size());
    state = size < 0 ? MNL_CB_ERROR
                     : mnl_cb_run(answer.data(), static_cast<size_t>(size), 1, port, VisitMessage,
                                  const_cast<Visitor*>(&visit));
    if (state == MNL_CB_ERROR) error = errno;
  }
  mnl_socket_close(socket);
  return error;
}

int Change(nlmsghdr* request) {
  request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  return Exchange(NETLINK_ROUTE, request, [](const nlmsghdr*) {});
}

absl::Status ToStatus(int error, const std::string& what) {
  return error == 0 ? absl::OkStatus() : absl::ErrnoToStatus(error, what);
}

// A kernel without IPv6 does not know the family; to list none of its things is the right answer.
bool IsMissingFamily(int error) { return error == EAFNOSUPPORT || error == EOPNOTSUPP; }

uint32_t U32Or(const nlattr* attribute, uint32_t otherwise) {
  return attribute == nullptr ? otherwise : mnl_attr_get_u32(attribute);
}

// Attributes of a message by type, null where there is none.
template <size_t kCount>
std::array<const nlattr*, kCount> Attributes(const nlmsghdr* header, size_t family_header) {
  std::array<const nlattr*, kCount> found{};
  // Spelled out: libmnl's loop macro relies on C's implicit conversion from void*.
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(header));
  for (auto* attribute =
           static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(header, family_header));
       mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
       attribute = mnl_attr_next(attribute)) {
    const uint16_t type = mnl_attr_get_type(attribute);
    if (type < kCount) found[type] = attribute;
  }
  return found;
}

FibRule ReadRule(Family family, const nlmsghdr* header) {
  const auto* rule = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(header));
  const auto found = Attributes<FRA_MAX + 1>(header, sizeof(fib_rule_hdr));
  const uint8_t protocol =
      found[FRA_PROTOCOL] == nullptr ? 0 : mnl_attr_get_u8(found[FRA_PROTOCOL]);
  return {family,
          U32Or(found[FRA_PRIORITY], 0),
          U32Or(found[FRA_FWMARK], 0),
          U32Or(found[FRA_FWMASK], 0),
          U32Or(found[FRA_TABLE], rule->table),
          protocol,
          found[FRA_IIFNAME] != nullptr &&
              std::strcmp(mnl_attr_get_str(found[FRA_IIFNAME]), kLoopback) == 0,
          U32Or(found[FRA_GOTO], 0)};
}

}  // namespace

absl::StatusOr<std::vector<FibRule>> ListFibRules() {
  std::vector<FibRule> rules;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    Buffer buffer;
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETRULE;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* body =
        static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(request, sizeof(fib_rule_hdr)));
    body->family = AddressFamily(family);
    const int error = Exchange(NETLINK_ROUTE, request, [&](const nlmsghdr* header) {
      rules.push_back(ReadRule(family, header));
    });
    if (error != 0 && !(family == Family::kIpv6 && IsMissingFamily(error))) {
      return absl::ErrnoToStatus(error, "list ip rules");
    }
  }
  return rules;
}

absl::Status ChangeFibRule(const FibRule& rule, bool add) {
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = add ? RTM_NEWRULE : RTM_DELRULE;
  request->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
  auto* body =
      static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(request, sizeof(fib_rule_hdr)));
  body->family = AddressFamily(rule.family);
  body->action = rule.is_landing() ? FR_ACT_NOP : rule.go_on_at != 0 ? FR_ACT_GOTO : FR_ACT_TO_TBL;
  mnl_attr_put_u32(request, FRA_PRIORITY, rule.priority);
  mnl_attr_put_u32(request, FRA_FWMARK, rule.mark);
  mnl_attr_put_u32(request, FRA_FWMASK, rule.mask);
  if (rule.table != 0) mnl_attr_put_u32(request, FRA_TABLE, rule.table);
  if (rule.go_on_at != 0) mnl_attr_put_u32(request, FRA_GOTO, rule.go_on_at);
  mnl_attr_put_u8(request, FRA_PROTOCOL, rule.protocol);
  if (rule.own_packets_only) mnl_attr_put_strz(request, FRA_IIFNAME, kLoopback);
  return ToStatus(Change(request), absl::StrCat(add ? "add: ip " : "undo: ip ", ToCommand(rule)));
}

absl::StatusOr<std::vector<LocalRoute>> ListTableRoutes(uint32_t table) {
  std::vector<LocalRoute> routes;
  for (const Family family : {Family::kIpv4, Family::kIpv6}) {
    Buffer buffer;
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = RTM_GETROUTE;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* body = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
    body->rtm_family = AddressFamily(family);
    const int error = Exchange(NETLINK_ROUTE, request, [&](const nlmsghdr* header) {
      const auto* route = static_cast<const rtmsg*>(mnl_nlmsg_get_payload(header));
      const auto found = Attributes<RTA_MAX + 1>(header, sizeof(rtmsg));
      if (route->rtm_family == AddressFamily(family) &&
          U32Or(found[RTA_TABLE], route->rtm_table) == table) {
        routes.push_back({family, table, route->rtm_protocol});
      }
    });
    if (error != 0 && !(family == Family::kIpv6 && IsMissingFamily(error))) {
      return absl::ErrnoToStatus(error, absl::StrCat("list routes of table ", table));
    }
  }
  return routes;
}

absl::Status ChangeLocalRoute(const LocalRoute& route, bool add) {
  const std::string what = absl::StrCat(add ? "add: ip " : "undo: ip ", ToCommand(route));
  const unsigned int loopback = if_nametoindex(kLoopback);
  if (loopback == 0) return absl::ErrnoToStatus(errno, what + ": no interface lo");
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = add ? RTM_NEWROUTE : RTM_DELROUTE;
  request->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
  auto* body = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(rtmsg)));
  body->rtm_family = AddressFamily(route.family);
  body->rtm_table = static_cast<uint8_t>(route.table < 256 ? route.table : 0);  // 0: see RTA_TABLE
  body->rtm_protocol = route.protocol;
  body->rtm_scope = RT_SCOPE_HOST;  // IPv6 does not look at it
  body->rtm_type = RTN_LOCAL;
  mnl_attr_put_u32(request, RTA_TABLE, route.table);
  mnl_attr_put_u32(request, RTA_OIF, loopback);
  return ToStatus(Change(request), what);
}

absl::StatusOr<bool> HasLoopbackAddressSix() {
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETADDR;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* body = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg)));
  body->ifa_family = AF_INET6;
  in6_addr six{};
  six.s6_addr[15] = 6;
  const unsigned int loopback = if_nametoindex(kLoopback);
  bool found_it = false;
  const int error = Exchange(NETLINK_ROUTE, request, [&](const nlmsghdr* header) {
    const auto* address = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(header));
    const auto found = Attributes<IFA_MAX + 1>(header, sizeof(ifaddrmsg));
    if (address->ifa_family != AF_INET6 || address->ifa_index != loopback) return;
    const nlattr* value = found[IFA_ADDRESS];
    found_it |= value != nullptr && mnl_attr_get_payload_len(value) == sizeof(six) &&
                std::memcmp(mnl_attr_get_payload(value), &six, sizeof(six)) == 0;
  });
  if (error != 0 && !IsMissingFamily(error)) {
    return absl::ErrnoToStatus(error, "list addresses of lo");
  }
  return found_it;
}

absl::Status ChangeLoopbackAddressSix(bool add) {
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR;
  request->nlmsg_flags = add ? NLM_F_CREATE | NLM_F_EXCL : 0;
  auto* body = static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifaddrmsg)));
  body->ifa_family = AF_INET6;
  body->ifa_prefixlen = 128;
  body->ifa_index = if_nametoindex(kLoopback);
  in6_addr six{};
  six.s6_addr[15] = 6;
  mnl_attr_put(request, IFA_LOCAL, sizeof(six), &six);
  mnl_attr_put(request, IFA_ADDRESS, sizeof(six), &six);
  return ToStatus(Change(request),
                  add ? "ip -6 address add ::6/128 dev lo" : "ip -6 address del ::6/128 dev lo");
}

absl::StatusOr<bool> IsLoopbackUp() {
  Buffer buffer;
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = RTM_GETLINK;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* body = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
  body->ifi_family = AF_UNSPEC;
  body->ifi_index = static_cast<int>(if_nametoindex(kLoopback));
  bool up = false;
  const int error = Exchange(NETLINK_ROUTE, request, [&](const nlmsghdr* header) {
    up = (static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(header))->ifi_flags & IFF_UP) != 0;
  });
  if (error != 0) return absl::ErrnoToStatus(error, "look at interface lo");
  return up;
}

absl::StatusOr<ListenerFacts> FindTcpListener(uint16_t port) {
  ListenerFacts facts;
  for (const uint8_t family : {AF_INET, AF_INET6}) {
    Buffer buffer;
    nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
    request->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    auto* body = static_cast<inet_diag_req_v2*>(
        mnl_nlmsg_put_extra_header(request, sizeof(inet_diag_req_v2)));
    body->sdiag_family = family;
    body->sdiag_protocol = IPPROTO_TCP;
    body->idiag_states = 1u << kTcpListen;
    const int error = Exchange(NETLINK_SOCK_DIAG, request, [&](const nlmsghdr* header) {
      const auto* socket = static_cast<const inet_diag_msg*>(mnl_nlmsg_get_payload(header));
      if (ntohs(socket->id.idiag_sport) != port) return;
      const auto found = Attributes<INET_DIAG_MAX + 1>(header, sizeof(inet_diag_msg));
      const nlattr* only_six = found[INET_DIAG_SKV6ONLY];
      const bool dual = only_six == nullptr || mnl_attr_get_u8(only_six) == 0;
      if (socket->idiag_family == AF_INET6) facts.ipv6 = true;
      if (socket->idiag_family == AF_INET || dual) facts.ipv4 = true;
      if (const nlattr* mark = found[INET_DIAG_MARK]; mark != nullptr) {
        // Of several listeners (SO_REUSEPORT) the one without a mark counts.
        facts.mark = std::min(facts.mark.value_or(UINT32_MAX), mnl_attr_get_u32(mark));
      }
      if (const nlattr* options = found[INET_DIAG_SOCKOPT]; options != nullptr) {
        inet_diag_sockopt bits{};
        std::memcpy(&bits, mnl_attr_get_payload(options),
                    std::min<size_t>(sizeof(bits), mnl_attr_get_payload_len(options)));
        facts.transparent = facts.transparent.value_or(true) && bits.transparent != 0;
      }
    });
    if (error != 0 && !(family == AF_INET6 && (IsMissingFamily(error) || error == ENOENT))) {
      return absl::ErrnoToStatus(error, "list listening sockets");
    }
  }
  return facts;
}

}  // namespace whence::intercept
