// Waiting for a condition that another thread brings about.
#ifndef WHENCE_TESTS_SUPPORT_AWAIT_H_
#define WHENCE_TESTS_SUPPORT_AWAIT_H_

#include <chrono>
#include <thread>

namespace whence {

// True as soon as `condition` is; false when it still is not after a time that no test takes when
// things work, even on a loaded machine under a sanitizer.
template <typename Condition>
bool Await(Condition condition, std::chrono::seconds patience = std::chrono::seconds(30)) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace whence

#endif  // WHENCE_TESTS_SUPPORT_AWAIT_H_
