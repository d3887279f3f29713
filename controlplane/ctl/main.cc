// whencectl: the operator's command line.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <iostream>
#include <variant>

#include "common/base/standard_streams.h"
#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/options.h"

namespace {

// 1 is an answer of these.
int FailureOf(const whence::ctl::Command& command) {
  const bool answers = std::holds_alternative<whence::ctl::DiffOptions>(command) ||
                       std::holds_alternative<whence::ctl::DoctorOptions>(command);
  return answers ? 2 : whence::ctl::kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  whence::OpenStandardStreams();
  // Our one line says it; gRPC's and protobuf's own logs would say it again, in their words.
  google::protobuf::SetLogHandler(nullptr);
  gpr_set_log_function([](gpr_log_func_args*) {});
  whence::ctl::CommandLine line = whence::ctl::ParseCommandLine(argc, argv);
  if (!line.options) {
    std::cout << line.out;
    if (!line.error.empty()) std::cerr << line.error << "\n";
    return whence::EndOutput("whencectl", line.exit_code);
  }
  const int code = whence::ctl::Run(*line.options, std::cin, std::cout, std::cerr);
  return whence::EndOutput("whencectl", code, FailureOf(line.options->command));
}
