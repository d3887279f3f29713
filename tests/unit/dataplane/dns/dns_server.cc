#include "tests/unit/dataplane/dns/dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "gtest/gtest.h"

namespace whence::dns {
namespace {

std::string Number(uint32_t value, int bytes) {
  std::string out;
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift));
  }
  return out;
}

constexpr size_t kHeader = 12;
constexpr uint16_t kA = 1, kAaaa = 28;

}  // namespace

DnsServer::DnsServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  const timeval patience{0, 100'000};  // how often it looks whether to stop
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  thread_ = std::thread([this] { Run(); });
}

DnsServer::~DnsServer() {
  stop_ = true;
  thread_.join();
}

std::string DnsServer::address() const { return "127.0.0.1:" + std::to_string(port_); }

void DnsServer::Set(const std::string& name, const std::vector<std::string>& addresses,
                    uint32_t ttl) {
  const std::lock_guard lock(mutex_);
  std::vector<net::IpAddress>& known = addresses_[name];
  known.clear();
  for (const std::string& text : addresses) known.push_back(*net::IpAddress::Parse(text));
  ttls_[name] = ttl;
}

void DnsServer::Run() {
  while (!stop_) {
    char question[512];
    sockaddr_storage from{};
    socklen_t size = sizeof(from);
    const ssize_t bytes = ::recvfrom(socket_.get(), question, sizeof(question), 0,
                                     reinterpret_cast<sockaddr*>(&from), &size);
    if (bytes <= static_cast<ssize_t>(kHeader)) continue;
    const std::string answer = Answer({question, static_cast<size_t>(bytes)});
    ::sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from),
             size);
  }
}

std::string DnsServer::Answer(std::string_view question) {
  std::string name;
  size_t at = kHeader;
  while (at < question.size() && question[at] != 0) {
    const size_t length = static_cast<unsigned char>(question[at]);
    if (!name.empty()) name += ".";
    name += question.substr(at + 1, length);
    at += 1 + length;
  }
  const auto type = static_cast<uint16_t>(static_cast<unsigned char>(question[at + 1]) << 8 |
                                          static_cast<unsigned char>(question[at + 2]));
  const std::string_view asked = question.substr(kHeader, at + 5 - kHeader);
  const std::lock_guard lock(mutex_);
  const auto found = addresses_.find(name);
  const bool exists = found != addresses_.end() && !found->second.empty();
  std::string records;
  uint32_t count = 0;
  if (exists && !failing_) {
    for (const net::IpAddress& address : found->second) {
      if (type != (address.is_v4() ? kA : kAaaa)) continue;
      const auto& bytes = address.bytes();
      const size_t skip = address.is_v4() ? 12 : 0;
      records += Number(0xc00c, 2) + Number(type, 2) + Number(1, 2) + Number(ttls_[name], 4) +
                 Number(static_cast<uint32_t>(16 - skip), 2) +
                 std::string(bytes.begin() + static_cast<long>(skip), bytes.end());
      ++count;
    }
  }
  const uint32_t code = failing_ ? 2 : exists ? 0 : 3;
  return std::string(question.substr(0, 2)) + Number(0x8180 | code, 2) + Number(1, 2) +
         Number(count, 2) + Number(0, 4) + std::string(asked) + records;
}

}  // namespace whence::dns
