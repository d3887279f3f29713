// The whole HTTP codec against a scripted client and a scripted origin, in one thread: a real session
// on real sockets, whose two peers take one step in each round of its loop. Same script, same run.
//
// What must hold, whatever the two say:
//   - each upstream connection carries strict HTTP/1.1 requests, the last perhaps cut short;
//   - each of them is one that the client made, in the client's order, with the body that the client
//     gave it and no other byte;
//   - the client gets whole, well-formed responses, the last perhaps cut short, and never more than
//     it asked for, but for one that refuses what it could not ask.
#ifndef WHENCE_TESTS_FUZZ_CODEC_HARNESS_H_
#define WHENCE_TESTS_FUZZ_CODEC_HARNESS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace whence::fuzz {

struct CodecScript {
  std::string client;  // what the client sends in all
  std::string origin;  // what the origin sends in all; empty: a 200 to each whole request
  // Who does what next: kind in the low three bits (0-1 client sends, 2-3 origin sends, 4 nothing,
  // 5 client half-closes, 6 origin half-closes, 7 client closes), how much in the rest. After the
  // last, both send all that is left.
  std::vector<uint8_t> steps;

  // Three parts separated by two 0xff.
  static CodecScript FromBytes(const uint8_t* data, size_t size);
};

struct CodecRun {
  std::string fault;  // empty: all held
  size_t upstream_requests = 0;
  size_t responses = 0;
  std::vector<std::string> upstream;  // what each upstream connection got
};
CodecRun RunCodec(const CodecScript& script);

}  // namespace whence::fuzz

#endif  // WHENCE_TESTS_FUZZ_CODEC_HARNESS_H_
