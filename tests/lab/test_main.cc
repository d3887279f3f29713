// Tests that need root say so by exit code 77, which ctest shows as skipped: a pass would be a lie.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/lab/lab.h"

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (const absl::Status status = whence::lab::CanRun(); !status.ok()) {
    std::printf("skipped: %s\n", std::string(status.message()).c_str());
    return 77;
  }
  return RUN_ALL_TESTS();
}
