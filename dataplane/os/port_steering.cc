#include "dataplane/os/port_steering.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace whence::os {
namespace {

// Two instructions each, of which older kernels take 20 KiB (net.core.optmem_max) when they have
// translated them; those beyond are others' ports.
constexpr size_t kMostPorts = 250;

constexpr uint32_t kNet = static_cast<uint32_t>(SKF_NET_OFF);

// Leaves the destination port in A. Jumps `beyond` instructions further if it is not TCP.
void LoadPort(bool v4, uint32_t beyond, std::vector<sock_filter>* code) {
  if (v4) {
    code->push_back(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, kNet));  // X: the header's length
    code->push_back(BPF_STMT(BPF_LD | BPF_H | BPF_IND, kNet + 2));
    return;
  }
  code->push_back(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kNet + 6));  // next header
  code->push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 1, 0));
  code->push_back(BPF_STMT(BPF_JMP | BPF_JA, beyond + 1));
  code->push_back(BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kNet + 40 + 2));
}

int SetDeferral(int listener, int seconds) {
  return ::setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof(seconds)) == 0
             ? 0
             : errno;
}

}  // namespace

int SteerByPort(int listener, bool v4, uint32_t workers, std::span<const uint16_t> speaking_first) {
  const auto ports = speaking_first.first(std::min(speaking_first.size(), kMostPorts));
  const auto tests = static_cast<uint32_t>(2 * ports.size());
  std::vector<sock_filter> code = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_RANDOM)),
      BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, workers),
      BPF_STMT(BPF_ST, 0),
  };
  LoadPort(v4, tests, &code);
  for (size_t i = 0; i < ports.size(); ++i) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ports[i], 0, 1));
    // To the last three: over the tests that are left, and the end for others.
    code.push_back(BPF_STMT(BPF_JMP | BPF_JA, tests - static_cast<uint32_t>(2 * i)));
  }
  code.push_back(BPF_STMT(BPF_LD | BPF_MEM, 0));
  code.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  code.push_back(BPF_STMT(BPF_LD | BPF_MEM, 0));
  code.push_back(BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, workers));
  code.push_back(BPF_STMT(BPF_RET | BPF_A, 0));
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  const int failed =
      ::setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program));
  return failed == 0 ? 0 : errno;
}

int DeferAccept(int listener) { return SetDeferral(listener, 1); }

int AcceptAtOnce(int listener) { return SetDeferral(listener, 0); }

}  // namespace whence::os
