// The programs of the product and where to find them.
#ifndef WHENCE_TESTS_LAB_PROGRAMS_H_
#define WHENCE_TESTS_LAB_PROGRAMS_H_

#include <string>

namespace whence::lab {

// Beside the running program: build/<preset>/bin.
std::string ProgramDirectory();
std::string ProgramPath(const std::string& name);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_PROGRAMS_H_
