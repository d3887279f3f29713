// One revision of the configuration, whole: what the store committed, ready to be served.
#ifndef WHENCE_CONTROLPLANE_MODEL_CONFIG_STATE_H_
#define WHENCE_CONTROLPLANE_MODEL_CONFIG_STATE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "whence/v1/admin.pb.h"

namespace whence::bundle {
class ConfigView;
}

namespace whence::model {

// Immutable; shared as shared_ptr<const ConfigState>.
struct ConfigState {
  uint64_t revision = 0;                           // 0: nothing was ever applied
  std::vector<v1::StoredDocument> documents;       // ordered by stored kind, namespace, name
  std::shared_ptr<const bundle::ConfigView> view;  // never null; the same documents, indexed
};

}  // namespace whence::model

#endif  // WHENCE_CONTROLPLANE_MODEL_CONFIG_STATE_H_
