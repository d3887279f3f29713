// CPU time that a proxy took, to the nanosecond.
#ifndef WHENCE_TESTS_BENCH_CPU_H_
#define WHENCE_TESTS_BENCH_CPU_H_

#include <sys/types.h>

#include <cstdint>

namespace whence::bench {

// Nanoseconds on a CPU of all threads of a process and of its children
// (/proc/PID/task/*/schedstat), kernel work on their behalf included. Ticks as in /proc/PID/stat
// would be too coarse and miss short bursts.
uint64_t ProcessCpu(pid_t pid);

// Nanoseconds of the kernel thread that takes over network work of that core when there is much of
// it. What a proxy's packets cost there belongs to the proxy as well.
uint64_t KsoftirqdCpu(int core);

// Resident set in KiB, children included (what they share is counted twice).
uint64_t ResidentKib(pid_t pid);

// From here on this process and its children run on that core only. False if there is no such core.
bool PinToCore(int core);

int CoreCount();

// As many open files as we may have: thousands of connections end here.
void RaiseFileLimit();

}  // namespace whence::bench

#endif  // WHENCE_TESTS_BENCH_CPU_H_
