// Scripts for the codec harness, made of the vectors by a repeatable choice.
#ifndef WHENCE_TESTS_FUZZ_MUTATION_H_
#define WHENCE_TESTS_FUZZ_MUTATION_H_

#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/codec_harness.h"

namespace whence::fuzz {

class Mutation {
 public:
  // `vectors`: the folder of http1_requests.jsonl and http1_responses.jsonl.
  Mutation(const std::string& vectors, uint32_t seed);
  CodecScript Next();

 private:
  std::string Mutated(std::string bytes);
  const std::string& Any(const std::vector<std::string>& of) { return of[random_() % of.size()]; }

  std::mt19937 random_;
  const std::vector<std::string> requests_, responses_;
};

}  // namespace whence::fuzz

#endif  // WHENCE_TESTS_FUZZ_MUTATION_H_
