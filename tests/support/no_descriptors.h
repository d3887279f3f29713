// A shortage of file descriptors, made for a test.
#ifndef WHENCE_TESTS_SUPPORT_NO_DESCRIPTORS_H_
#define WHENCE_TESTS_SUPPORT_NO_DESCRIPTORS_H_

#include <sys/resource.h>

namespace whence {

// While it lives, opening anything that would get the number `first` or a higher one fails with
// EMFILE. What is open stays open; poll(2), though, takes no more than `first` entries.
class NoDescriptors {
 public:
  explicit NoDescriptors(rlim_t first = 0) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{first, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace whence

#endif  // WHENCE_TESTS_SUPPORT_NO_DESCRIPTORS_H_
