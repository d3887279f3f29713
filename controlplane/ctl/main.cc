// whencectl: the operator's command line.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <iostream>

#include "controlplane/ctl/commands.h"
#include "controlplane/ctl/options.h"

int main(int argc, char** argv) {
  // Our one line says it; gRPC's and protobuf's own logs would say it again, in their words.
  google::protobuf::SetLogHandler(nullptr);
  gpr_set_log_function([](gpr_log_func_args*) {});
  whence::ctl::CommandLine line = whence::ctl::ParseCommandLine(argc, argv);
  if (!line.options) {
    std::cout << line.out;
    if (!line.error.empty()) std::cerr << line.error << "\n";
    return line.exit_code;
  }
  int code = whence::ctl::Run(*line.options, std::cin, std::cout, std::cerr);
  std::cout.flush();
  if (!std::cout) return whence::ctl::kFailed;  // a full disk, a closed pipe
  return code;
}
