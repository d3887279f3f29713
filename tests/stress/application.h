// The application of the stress: says whom it sees.
#ifndef WHENCE_TESTS_STRESS_APPLICATION_H_
#define WHENCE_TESTS_STRESS_APPLICATION_H_

#include <cstdint>
#include <string>
#include <thread>

#include "dataplane/os/unique_fd.h"

namespace whence::stress {

inline constexpr uint16_t kAppPort = 9000;
// What a client asks for with its one byte: the answer and the end, or to be kept.
inline constexpr char kAskAndEnd = 'q';
inline constexpr char kAskAndStay = 'h';

// Listens in the network namespace of that path, on one thread with its own poller. The answer is
// the peer's address and port in one line.
class Application {
 public:
  explicit Application(const std::string& netns);
  ~Application();
  bool listens() const { return static_cast<bool>(listener_); }

 private:
  void Run();
  void Accept();
  // False: the connection is over.
  bool Serve(int fd);

  os::UniqueFd poller_, listener_, stop_;
  std::thread thread_;
};

}  // namespace whence::stress

#endif  // WHENCE_TESTS_STRESS_APPLICATION_H_
