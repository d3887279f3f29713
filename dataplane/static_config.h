// Configuration from a folder of documents, without a control plane, and the checking of documents.
//
// The documents take the same way as through a control plane: parsed and validated by
// common/document, resolved by common/bundle, decoded by common/wire. The inventory is this agent
// and what --static-workload declares.
#ifndef WHENCE_DATAPLANE_STATIC_CONFIG_H_
#define WHENCE_DATAPLANE_STATIC_CONFIG_H_

#include <memory>
#include <string>
#include <vector>

#include "common/bundle/inventory.h"
#include "common/snapshot/snapshot.h"
#include "whence/v1/documents.pb.h"
#include "whence/v1/resources.pb.h"

namespace whence {

struct LoadedDocuments {
  std::vector<v1::Document> documents;
  std::vector<std::string> faults;    // one line each, with file, line and column
  std::vector<std::string> warnings;  // likewise
};

// `paths`: files, folders (their *.yaml, *.yml and *.json, in name order) or "-" for standard
// input. Collects every fault.
LoadedDocuments LoadDocuments(const std::vector<std::string>& paths, bool ignore_unsupported);

struct StaticConfig {
  std::shared_ptr<const snapshot::Snapshot> snapshot;  // null if there are faults
  v1::WorkloadBundle bundle;
  std::vector<std::string> faults;
  std::vector<std::string> warnings;
};

StaticConfig BuildStatic(LoadedDocuments loaded, const bundle::Workload& self,
                         const std::vector<bundle::Workload>& others);

// What only shows when a workload would receive the documents: builds and decodes a configuration
// for every selector in them. Adds to `loaded->faults`.
void CheckDecoding(LoadedDocuments* loaded);

}  // namespace whence

#endif  // WHENCE_DATAPLANE_STATIC_CONFIG_H_
