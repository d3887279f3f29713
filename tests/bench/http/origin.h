// Hidden subcommand `origin`: the application behind the proxy. One thread, one epoll, answers of a
// fixed size, and an X-Peer field that says which address it saw: a proxy that is fast because it
// hides the client must not count.
#ifndef WHENCE_TESTS_BENCH_HTTP_ORIGIN_H_
#define WHENCE_TESTS_BENCH_HTTP_ORIGIN_H_

#include <cstddef>
#include <cstdint>

namespace whence::bench {

// Returns only on error, with an exit code.
int RunOrigin(uint16_t port, size_t body_bytes);

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_HTTP_ORIGIN_H_
