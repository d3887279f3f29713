// Addresses and ranges. Invariants: parse(format(x)) == x, and the compiled set answers as a search
// through the list does.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/cidr.h"
#include "common/net/cidr_set.h"
#include "common/net/socket_address.h"

namespace {

using namespace whence::net;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

void CheckText(std::string_view text, std::vector<Cidr>* cidrs, std::vector<IpAddress>* probes) {
  if (const auto address = IpAddress::Parse(text)) {
    REQUIRE(IpAddress::Parse(address->ToString()) == address);
    REQUIRE(address->ToString().size() < IpAddress::kMaxTextSize);
    probes->push_back(*address);
  }
  if (const auto socket = SocketAddress::Parse(text)) {
    REQUIRE(SocketAddress::Parse(socket->ToString()) == socket);
  }
  const auto cidr = Cidr::Parse(text);
  if (!cidr.ok()) return;
  REQUIRE(*Cidr::Parse(cidr->ToString()) == *cidr);
  REQUIRE(cidr->Contains(cidr->network()) && cidr->Contains(cidr->last()));
  cidrs->push_back(*cidr);
  probes->push_back(cidr->network());
  probes->push_back(cidr->last());
}

// Addresses just outside of a range are where a compiled set would be wrong.
void AddNeighbours(std::vector<IpAddress>* probes) {
  const size_t size = probes->size();
  for (size_t i = 0; i < size; ++i) {
    for (const int step : {1, -1}) {
      IpAddress::Bytes bytes = (*probes)[i].bytes();
      for (size_t byte = bytes.size(); byte-- > 0;) {
        bytes[byte] = static_cast<uint8_t>(bytes[byte] + step);
        if (bytes[byte] != (step == 1 ? 0 : 0xff)) break;
      }
      probes->push_back(IpAddress::FromV6(bytes));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<Cidr> cidrs;
  std::vector<IpAddress> probes;
  while (!rest.empty() && cidrs.size() < 64) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    CheckText(line, &cidrs, &probes);
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  AddNeighbours(&probes);
  const CidrSet set(cidrs);
  for (const IpAddress& probe : probes) {
    std::optional<Cidr> longest;
    for (const Cidr& cidr : cidrs) {
      if (cidr.Contains(probe) && (!longest || cidr.prefix_length() > longest->prefix_length())) {
        longest = cidr;
      }
    }
    REQUIRE(set.Contains(probe) == longest.has_value());
    REQUIRE(set.LongestMatch(probe) == longest);
  }
  return 0;
}
