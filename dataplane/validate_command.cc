#include "dataplane/validate_command.h"

#include <nlohmann/json.hpp>

#include "dataplane/static_config.h"

namespace whence {

int RunValidate(const ValidateOptions& options, std::ostream& out, std::ostream& err) {
  LoadedDocuments loaded = LoadDocuments(options.paths, options.ignore_unsupported);
  CheckDecoding(&loaded);
  const int code = loaded.faults.empty() ? 0 : 1;
  if (options.json) {
    const nlohmann::ordered_json json = {{"documents", loaded.documents.size()},
                                         {"warnings", loaded.warnings},
                                         {"faults", loaded.faults}};
    // A fault quotes the file, whatever bytes that has.
    out << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
    return code;
  }
  for (const std::string& warning : loaded.warnings) err << "warning: " << warning << "\n";
  for (const std::string& fault : loaded.faults) err << fault << "\n";
  if (code != 0) {
    err << "whence-agent: " << loaded.faults.size()
        << (loaded.faults.size() == 1 ? " fault\n" : " faults\n");
  } else {
    out << loaded.documents.size() << " documents, no faults\n";
  }
  return code;
}

}  // namespace whence
