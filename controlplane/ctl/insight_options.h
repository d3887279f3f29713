// The part of whencectl's command line that asks about recorded traffic: `explain --from-log`,
// `explain --diff`, `doctor`.
#ifndef WHENCE_CONTROLPLANE_CTL_INSIGHT_OPTIONS_H_
#define WHENCE_CONTROLPLANE_CTL_INSIGHT_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ctl/options.h"

namespace CLI {
class App;
}

namespace whence::ctl {

// What CLI11 writes into. Must outlive the parsing.
struct InsightFlags {
  std::string from_log;
  std::optional<uint64_t> revision;
  std::vector<std::string> diff;
  std::string since = "1h";
  bool ignore_unsupported = false;
  std::string doctor_since = "10m";
  std::string doctor_output = "table";
};

// More flags of the command `explain`.
void DeclareRecordedExplain(CLI::App* explain, InsightFlags& flags);
void DeclareDoctor(CLI::App& app, InsightFlags& flags);

// Whether `explain` asks about recorded traffic rather than about a described access.
bool AsksAboutRecords(const InsightFlags& flags);
// What is wrong; empty: nothing. REQUIRES: AsksAboutRecords.
std::string InterpretRecordedExplain(const InsightFlags& flags,
                                     const std::string& default_namespace, Output output,
                                     Command* command);
std::string InterpretDoctor(const InsightFlags& flags, Command* command);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_INSIGHT_OPTIONS_H_
