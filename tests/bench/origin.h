// Hidden subcommand `origin`: the application behind the proxy. One thread, one epoll.
//
//   :8080 HTTP   GET /stream   a body without end (Content-Length: 1 TiB)
//                GET /few/…    a small answer, /many/… with the fields that applications have
//                    …/close   and the end of the connection
//   :9000 TCP    'E…'          the same bytes back, and the end
//                'S'           bytes without end
//
// Small answers have an X-Peer field that says which address the application saw: a proxy that is
// fast because it hides the client must not count.
#ifndef WHENCE_TESTS_BENCH_ORIGIN_H_
#define WHENCE_TESTS_BENCH_ORIGIN_H_

#include <cstddef>

namespace whence::bench {

// Returns only on error, with an exit code.
int RunOrigin(size_t body_bytes);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_ORIGIN_H_
