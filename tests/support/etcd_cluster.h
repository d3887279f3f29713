// A real etcd on loopback ports, of as many members as wanted, in a directory of its own.
#ifndef WHENCE_TESTS_SUPPORT_ETCD_CLUSTER_H_
#define WHENCE_TESTS_SUPPORT_ETCD_CLUSTER_H_

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/etcd/client.h"
#include "tests/support/free_port.h"

namespace whence {

// Its members are killed, and its files removed, with it. Thread-compatible.
class EtcdCluster {
 public:
  // Empty: there is no etcd on this machine.
  static std::string Program() {
    for (const char* path : {"/usr/bin/etcd", "/usr/local/bin/etcd"}) {
      if (access(path, X_OK) == 0) return path;
    }
    return "";
  }
  // What a test program's main returns without etcd: ctest then shows it as skipped.
  static int Skip() {
    std::puts("skipped: no etcd on this machine (Debian: etcd-server)");
    return 77;
  }

  // PEM files, of the members and of whoever asks them.
  struct Tls {
    std::string ca, certificate, key;
  };

  explicit EtcdCluster(int members, std::optional<Tls> tls = std::nullopt) : tls_(std::move(tls)) {
    // In memory where that is possible: what is measured and waited for here is not the disk.
    const bool has_memory = access("/dev/shm", W_OK) == 0;
    const std::filesystem::path base =
        has_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (base / "whence-etcd-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) std::abort();
    directory_ = pattern;
    for (int i = 0; i < members; ++i) members_.push_back({FreePort(), FreePort(), -1});
    for (int i = 0; i < members; ++i) Start(i);
    WaitForLeader();
  }
  EtcdCluster(const EtcdCluster&) = delete;
  EtcdCluster& operator=(const EtcdCluster&) = delete;
  ~EtcdCluster() {
    for (int i = 0; i < static_cast<int>(members_.size()); ++i) Kill(i);
    std::filesystem::remove_all(directory_);
  }

  // "http://127.0.0.1:1,http://127.0.0.1:2"
  std::string endpoints() const {
    std::string all;
    for (size_t i = 0; i < members_.size(); ++i) {
      all += (i == 0 ? "" : ",") + endpoint(static_cast<int>(i));
    }
    return all;
  }
  std::string endpoint(int member) const {
    return Url(members_[Index(member)].client_port, tls_ ? "https" : "http");
  }
  // Without certificates.
  etcd::Options options(const std::string& prefix) const {
    etcd::Options options;
    options.endpoints = *etcd::ParseEndpoints(endpoints());
    options.prefix = prefix;
    return options;
  }
  int size() const { return static_cast<int>(members_.size()); }

  // Returns once some member answers; ends the program if none does in a minute.
  void WaitForLeader() const {
    etcd::Options how = options("/");
    if (tls_) {
      how.ca = tls_->ca;
      how.certificate = tls_->certificate;
      how.key = tls_->key;
    }
    auto client = etcd::Client::Make(how, {std::chrono::seconds(2), std::chrono::seconds(60)});
    etcdserverpb::RangeRequest request;
    request.set_key("/");
    if ((*client)->Range(request).ok()) return;
    std::puts("etcd did not start");
    std::abort();
  }

  // With what it had before, if it ran already.
  void Start(int index) {
    Member& member = members_[Index(index)];
    std::string peers;
    for (size_t i = 0; i < members_.size(); ++i) {
      peers += (i == 0 ? "" : ",") + Name(i) + "=" + Url(members_[i].peer_port);
    }
    const std::string name = Name(Index(index));
    std::vector<std::string> arguments = {Program(),
                                          "--name",
                                          name,
                                          "--data-dir",
                                          directory_ + "/" + name,
                                          "--listen-client-urls",
                                          endpoint(index),
                                          "--advertise-client-urls",
                                          endpoint(index),
                                          "--listen-peer-urls",
                                          Url(member.peer_port),
                                          "--initial-advertise-peer-urls",
                                          Url(member.peer_port),
                                          "--initial-cluster",
                                          peers,
                                          "--initial-cluster-token",
                                          directory_};
    if (tls_) {
      arguments.insert(arguments.end(),
                       {"--client-cert-auth", "--trusted-ca-file", tls_->ca, "--cert-file",
                        tls_->certificate, "--key-file", tls_->key});
    }
    std::vector<char*> raw;
    for (std::string& argument : arguments) raw.push_back(argument.data());
    raw.push_back(nullptr);
    const std::string log = directory_ + "/" + name + ".log";
    const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    member.pid = fork();
    if (member.pid == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // however the test ends
      dup2(out, 1);
      dup2(out, 2);
      execv(raw[0], raw.data());
      _exit(127);
    }
    close(out);
    if (member.pid < 0) std::abort();
  }
  void Kill(int index) {
    Member& member = members_[Index(index)];
    if (member.pid <= 0) return;
    kill(member.pid, SIGKILL);
    waitpid(member.pid, nullptr, 0);
    member.pid = -1;
  }
  // SIGSTOP, SIGCONT.
  void Signal(int index, int number) { kill(members_[Index(index)].pid, number); }

 private:
  struct Member {
    uint16_t client_port, peer_port;
    pid_t pid;
  };
  static size_t Index(int member) { return static_cast<size_t>(member); }
  static std::string Name(size_t index) { return "m" + std::to_string(index); }
  static std::string Url(uint16_t port, const std::string& scheme = "http") {
    return scheme + "://127.0.0.1:" + std::to_string(port);
  }

  const std::optional<Tls> tls_;
  std::string directory_;
  std::vector<Member> members_;
};

}  // namespace whence

#endif  // WHENCE_TESTS_SUPPORT_ETCD_CLUSTER_H_
