// Waiting for a condition instead of for a time.
#ifndef WHENCE_TESTS_LAB_WAIT_H_
#define WHENCE_TESTS_LAB_WAIT_H_

#include <chrono>
#include <functional>

namespace whence::lab {

// Long enough for a loaded machine under a sanitizer; no test takes it when things work.
inline constexpr std::chrono::milliseconds kPatience{20000};

// True as soon as `condition` is; false when it still is not after `patience`. Looks again every
// few milliseconds.
bool WaitUntil(const std::function<bool()>& condition,
               std::chrono::milliseconds patience = kPatience);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_WAIT_H_
