// The workloads of the last process, kept in a file of their own beside the configuration.
//
// Not precious: without it, the first minutes after a restart serve bundles that know only the
// agents that are back already. Hence a separate file with relaxed durability, which neither waits
// for the configuration's writer nor makes it wait, and which is made anew if it is damaged.
#ifndef WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_STORE_H_
#define WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_STORE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/discovery/node.h"
#include "controlplane/store/database.h"

namespace whence::discovery {

// Thread-compatible.
class InventoryStore {
 public:
  static absl::StatusOr<std::unique_ptr<InventoryStore>> Open(const std::string& path);

  // Entries that cannot be read (of another version of the program) are left out.
  absl::StatusOr<std::vector<Agent>> Load();
  // Replaces all.
  absl::Status Save(const std::vector<Agent>& agents);

 private:
  explicit InventoryStore(std::unique_ptr<store::Database> database)
      : database_(std::move(database)) {}

  std::unique_ptr<store::Database> database_;
};

}  // namespace whence::discovery

#endif  // WHENCE_CONTROLPLANE_DISCOVERY_INVENTORY_STORE_H_
