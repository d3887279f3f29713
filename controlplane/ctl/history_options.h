// The part of whencectl's command line that looks at and goes back to revisions.
#ifndef WHENCE_CONTROLPLANE_CTL_HISTORY_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_HISTORY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/ctl/options.h"

namespace whence::ctl {

// What CLI11 writes into. Must outlive the parsing.
struct HistoryFlags {
  uint32_t limit = 20;
  uint64_t before = 0;
  std::vector<uint64_t> revisions;  // of diff
  std::vector<std::string> files;
  bool ignore_unsupported = false;
  uint64_t revision = 0;  // of rollback
  bool dry_run = false, strict = false;
  std::string message;
  std::string namespace_name;
  std::string output = "table";
  CLI::App* rollback = nullptr;
};

// "history", "diff", "rollback".
void DeclareHistory(CLI::App& app, HistoryFlags& flags);

// For every command that writes: refuse if the configuration is at another revision.
void AddIfRevision(CLI::App* command);

// The value of --if-revision, if it was given to the command.
std::optional<uint64_t> IfRevision(const CLI::App& command);

// If one of those commands was given, makes its options. What is wrong; empty: nothing.
std::string InterpretHistory(const CLI::App& app, const HistoryFlags& flags, Options* options);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_HISTORY_OPTIONS_H_
