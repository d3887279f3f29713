// Where a program finds its control plane, as it is written in a flag.
#ifndef WHENCE_COMMON_NET_DIAL_TARGET_H_
#define WHENCE_COMMON_NET_DIAL_TARGET_H_

#include <string_view>

namespace whence::net {

// What to give, in helps and messages.
inline constexpr char kDialTargetForms[] = "HOST:PORT, IP:PORT, [IPv6]:PORT or unix:PATH";

// One of those forms. gRPC's other ones are taken, too: "unix-abstract:NAME", "dns:[//SERVER/]HOST:PORT",
// and several addresses, tried in turn: "ipv4:IP:PORT,IP:PORT", "ipv6:[IP]:PORT,[IP]:PORT".
//
// gRPC itself takes any text, dials port 443 where there is none, and says "not reachable" of both.
bool IsDialTarget(std::string_view text);

}  // namespace whence::net

#endif  // WHENCE_COMMON_NET_DIAL_TARGET_H_
