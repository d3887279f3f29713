// A shortage of file descriptors, made for a test.
#ifndef WHENCE_TESTS_SUPPORT_NO_DESCRIPTORS_H_
#define WHENCE_TESTS_SUPPORT_NO_DESCRIPTORS_H_

#include <sys/resource.h>

namespace whence {

// While it lives, whatever this process opens fails with EMFILE.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
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
