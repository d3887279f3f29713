// One network namespace of a lab.
#ifndef WHENCE_TESTS_LAB_NAMESPACE_H_
#define WHENCE_TESTS_LAB_NAMESPACE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/lab/process.h"

namespace whence::lab {

// Immutable: a name. Who creates and removes it is the Lab's business (lab.h), since namespaces
// outlive processes.
class Namespace {
 public:
  explicit Namespace(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  std::string path() const { return "/run/netns/" + name_; }

  // Creates it, with lo up, forwarding as told, and addresses usable at once (no duplicate address
  // detection).
  absl::Status Create(bool forwards) const;
  bool Exists() const;

  // `ip` commands of one batch, without the word ip: "address add 10.0.0.1/24 dev eth0\nlink set
  // eth0 up\n".
  absl::Status Ip(const std::string& batch) const;
  // nftables text, one transaction.
  absl::Status Nft(const std::string& text) const;
  absl::Status Sysctl(const std::string& name, const std::string& value) const;
  CommandResult Run(const std::vector<std::string>& command, const std::string& input = "") const {
    return lab::Run(command, path(), input);
  }

  // A TCP connection from inside it, made by this process; the file descriptor is the caller's.
  // `local_port` 0: any.
  absl::StatusOr<int> Connect(const std::string& address, uint16_t port,
                              std::chrono::milliseconds patience, uint16_t local_port = 0) const;
  // A listening TCP socket inside it.
  absl::StatusOr<int> Listen(const std::string& address, uint16_t port) const;

  // Ends every process that lives in it and removes it.
  void Remove() const;

 private:
  std::string name_;
};

// Two ends of a virtual cable, each in its namespace. The interface names are as seen inside.
absl::Status ConnectByVeth(const Namespace& a, const std::string& name_in_a, const Namespace& b,
                           const std::string& name_in_b);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_NAMESPACE_H_
