#include "tests/lab/programs.h"

#include <filesystem>

namespace whence::lab {

std::string ProgramDirectory() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

std::string ProgramPath(const std::string& name) { return ProgramDirectory() + "/" + name; }

}  // namespace whence::lab
