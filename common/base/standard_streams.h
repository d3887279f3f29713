// What every main() owes its three standard streams. For programs, not for the core.
#ifndef WHENCE_COMMON_BASE_STANDARD_STREAMS_H_
#define WHENCE_COMMON_BASE_STANDARD_STREAMS_H_

#include <fcntl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

namespace whence {

// Call it first. A descriptor that the caller closed (`>&-`) would be given to the next file that is
// opened, a database or a lock, and what is printed would be written into it.
inline void OpenStandardStreams() {
  for (int fd = 0; fd <= 2; ++fd) {
    // The lowest free one is taken, and those below are open by now.
    if (fcntl(fd, F_GETFD) == -1 && errno == EBADF) (void)open("/dev/null", O_RDWR);
  }
}

// Call it last. The exit code: `code`, or `failed` and a line on standard error if what was printed
// did not all arrive, on a full disk say: it would look like a short answer.
inline int EndOutput(const char* program, int code, int failed = 1) {
  errno = 0;
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout) return code;
  // An earlier write failed, and nobody kept why: the next one will tell. What is there is broken off
  // anyway.
  if (errno == 0) {
    std::clearerr(stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
  }
  std::fprintf(stderr, "%s: cannot write to standard output%s%s\n", program, errno == 0 ? "" : ": ",
               errno == 0 ? "" : std::strerror(errno));
  return failed;
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_STANDARD_STREAMS_H_
