// whence-vectors KIND FILE...: runs test vectors (JSON Lines) against the real code.
//
// The files of tests/vectors/data are run by ctest; anybody may run others of the same format.
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "tests/vectors/kind.h"

namespace whence::vectors {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr std::string_view kHelp =
    R"(Usage: whence-vectors KIND FILE...

Runs each vector of the files (JSON Lines) against Whence's own code, prints those that fail, and ends
with "N passed, M failed".

Kinds:
  xff     trusted client and forwarded headers (tests/vectors/data/README.md)
  authz   IP policies (tests/vectors/data/README-authz.md)
  http1_requests, http1_responses
          HTTP/1 without sockets: parsing, framing, forwarding (tests/vectors/data/README-http1.md)
  proxy_protocol
          PROXY protocol headers, whole and byte by byte (tests/vectors/data/README.md)

Examples:
  whence-vectors xff tests/vectors/data/xff.jsonl
  whence-vectors authz tests/vectors/data/authz.jsonl mine.jsonl

Exit code: 0 all passed, 1 some failed, 2 wrong usage.
)";

struct Tally {
  int passed = 0;
  int strict = 0;
  int failed = 0;
};

void RunLine(const Kind& kind, const std::string& where, const std::string& line, Tally* tally) {
  std::string id = where;
  std::string why;
  Outcome outcome;
  try {
    const nlohmann::json vector = nlohmann::json::parse(line);
    id = vector.value("id", where);
    why = vector.value("why", "");
    outcome = kind.run(vector);
  } catch (const nlohmann::json::exception& error) {
    outcome = Outcome{.passed = false, .wanted = "a vector", .got = error.what()};
  }
  if (outcome.passed) {
    ++tally->passed;
    if (outcome.strict) ++tally->strict;
    return;
  }
  ++tally->failed;
  std::cout << "FAILED " << id << " (" << where << "): " << why << "\n  wanted "
            << outcome.wanted.dump() << "\n  got    " << outcome.got.dump() << "\n";
}

// False if the file cannot be read or has no vectors: nothing run is not the same as all passed.
bool RunFile(const Kind& kind, const std::string& path, Tally* tally) {
  std::ifstream file(path);
  if (!file) {
    std::cerr << "whence-vectors: " << path << ": cannot be read\n";
    return false;
  }
  std::string line;
  int number = 0;
  int vectors = 0;
  while (std::getline(file, line)) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    ++vectors;
    RunLine(kind, path + ":" + std::to_string(number), line, tally);
  }
  if (vectors == 0) std::cerr << "whence-vectors: " << path << ": no vectors in it\n";
  return vectors > 0;
}

int Run(const std::vector<std::string>& args) {
  if (args.size() == 1 && (args[0] == "--help" || args[0] == "-h")) {
    std::cout << kHelp;
    return kPassed;
  }
  if (args.size() == 1 && args[0] == "--version") {
    std::cout << "whence-vectors " << WHENCE_VERSION << "\n";
    return kPassed;
  }
  if (args.size() < 2) {
    std::cerr << "whence-vectors: expected KIND FILE...; see whence-vectors --help\n";
    return kWrongUsage;
  }
  const Kind* kind = FindKind(args[0]);
  if (kind == nullptr) {
    std::cerr << "whence-vectors: " << args[0] << ": no such kind; see whence-vectors --help\n";
    return kWrongUsage;
  }
  Tally tally;
  bool all_read = true;
  for (size_t i = 1; i < args.size(); ++i) all_read &= RunFile(*kind, args[i], &tally);
  if (tally.strict > 0) std::cout << tally.strict << " by the stricter answer\n";
  std::cout << tally.passed << " passed, " << tally.failed << " failed\n";
  if (!all_read) return kWrongUsage;
  return tally.failed == 0 ? kPassed : kFailed;
}

}  // namespace
}  // namespace whence::vectors

int main(int argc, char** argv) {
  return whence::vectors::Run(std::vector<std::string>(argv + 1, argv + argc));
}
