// The whole HTTP codec against a scripted client and origin: see codec_harness.h for what must hold.
// Input: the client's bytes, 0xff, the origin's bytes, 0xff, the steps.
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/codec_harness.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 16384) return 0;
  const auto run = whence::fuzz::RunCodec(whence::fuzz::CodecScript::FromBytes(data, size));
  if (run.fault.empty()) return 0;
  std::fprintf(stderr, "%s\n", run.fault.c_str());
  std::abort();
}
