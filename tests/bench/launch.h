// Hidden subcommand `launch`: becomes another program on a given core, optionally with open
// transparent listeners.
//
// nginx has no transparent `listen`, and neither it nor HAProxy can mark a listener. Both take an
// open socket instead: HAProxy as `bind fd@N`, nginx through its NGINX environment variable. So the
// sockets are made here, as interception wants them, and inherited.
#ifndef WHENCE_TESTS_BENCH_LAUNCH_H_
#define WHENCE_TESTS_BENCH_LAUNCH_H_

#include <string>
#include <vector>

namespace whence::bench {

inline constexpr int kListenerFd = 9;      // on kProxyPort
inline constexpr int kTcpListenerFd = 10;  // on kTcpProxyPort

struct LaunchSpec {
  int core = 0;
  bool listeners = false;  // as kListenerFd and kTcpListenerFd
  std::vector<std::string> command;
};

// The words after the program's name.
std::vector<std::string> LaunchCommand(const LaunchSpec& spec);

// Does not return if all goes well; an exit code otherwise.
int Launch(const LaunchSpec& spec);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_LAUNCH_H_
