#include "tests/bench/launch.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/os/socket.h"
#include "tests/bench/cpu.h"
#include "tests/bench/pod.h"

namespace whence::bench {
namespace {

bool InheritListener(uint16_t port, int as) {
  const auto address = net::SocketAddress::Parse("0.0.0.0:" + std::to_string(port));
  os::ListenOptions options;
  options.transparent = true;
  options.mark = kListenerMark;
  options.reuse_port = false;
  auto listener = os::Listen(*address, options);
  if (!listener.ok()) {
    std::fprintf(stderr, "%s\n", listener.status().ToString().c_str());
    return false;
  }
  // Unlike the original, the copy survives exec.
  return dup2(listener->get(), as) == as;
}

}  // namespace

std::vector<std::string> LaunchCommand(const LaunchSpec& spec) {
  std::vector<std::string> words = {"launch", "--core", std::to_string(spec.core)};
  if (spec.listeners) words.push_back("--listeners");
  words.push_back("--");
  words.insert(words.end(), spec.command.begin(), spec.command.end());
  return words;
}

int Launch(const LaunchSpec& spec) {
  if (!PinToCore(spec.core)) {
    std::fprintf(stderr, "core %d: %s\n", spec.core, std::strerror(errno));
    return 1;
  }
  rlimit files = {65536, 65536};
  setrlimit(RLIMIT_NOFILE, &files);  // if it fails, what there is must do
  if (spec.listeners && (!InheritListener(kProxyPort, kListenerFd) ||
                         !InheritListener(kTcpProxyPort, kTcpListenerFd))) {
    return 1;
  }
  std::vector<char*> argv;
  for (const std::string& word : spec.command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(errno));
  return 127;
}

}  // namespace whence::bench
