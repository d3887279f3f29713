// A small name server on loopback.
#ifndef WHENCE_TESTS_UNIT_DATAPLANE_DNS_DNS_SERVER_H_
#define WHENCE_TESTS_UNIT_DATAPLANE_DNS_DNS_SERVER_H_

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/net/ip_address.h"
#include "dataplane/os/unique_fd.h"

namespace whence::dns {

// Answers A and AAAA over UDP. Thread-safe.
class DnsServer {
 public:
  DnsServer();
  ~DnsServer();

  std::string address() const;  // "127.0.0.1:PORT"
  // From now on; none: the name does not exist.
  void Set(const std::string& name, const std::vector<std::string>& addresses, uint32_t ttl = 1);
  void Fail(bool failing) { failing_ = failing; }  // SERVFAIL for everything

 private:
  void Run();
  std::string Answer(std::string_view question);

  os::UniqueFd socket_;
  uint16_t port_ = 0;
  std::atomic<bool> stop_ = false, failing_ = false;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, std::vector<net::IpAddress>> addresses_;
  std::map<std::string, uint32_t> ttls_;
  std::thread thread_;
};

}  // namespace whence::dns

#endif  // WHENCE_TESTS_UNIT_DATAPLANE_DNS_DNS_SERVER_H_
