// The configuration that this agent last ran, on disk: what it starts from when the control plane
// is away.
//
//   DIR/bundle            the bundle, and the names and versions of the IP sets it needs
//   DIR/set-NAME@VERSION  one IP set each: whole, or what changed since another version, whose file
//                         is kept as long. A large set is written once, not again with every
//                         bundle that uses it or with every entry that changes
//
// Sets are written before the bundle that names them and removed after it, so that whatever moment
// the power fails at, a bundle that can be read finds its sets. All files are sealed
// (storage/file.h).
#ifndef WHENCE_DATAPLANE_DISCOVERY_LAST_GOOD_H_
#define WHENCE_DATAPLANE_DISCOVERY_LAST_GOOD_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/discovery/client_state.h"

namespace whence::discovery {

struct LastGood {
  ReceivedResource bundle;
  // All that the bundle needs. Before a difference stands what it is a difference from.
  std::vector<ReceivedResource> ip_sets;
};

// A chain of differences longer than this is not read: whoever saves writes the set whole in time.
inline constexpr size_t kMaxSetSteps = 64;

// Thread-compatible.
class LastGoodStore {
 public:
  // Files are kept in `directory`, which is created when first needed.
  explicit LastGoodStore(std::string directory) : directory_(std::move(directory)) {}

  absl::Status SaveIpSet(ReceivedResource set);
  // `ip_sets`: name to version, each saved before. Removes the files of all others but `also_keep`:
  // sets that a later bundle may name, and those that differences are from.
  absl::Status SaveBundle(const ReceivedResource& bundle,
                          const std::map<std::string, std::string>& ip_sets,
                          const std::set<std::pair<std::string, std::string>>& also_keep = {});

  // NotFound: there is none. DataLoss: it is damaged or incomplete, and then nothing of it is used.
  absl::StatusOr<LastGood> Load() const;

 private:
  absl::Status LoadSet(const std::string& name, std::string version,
                       std::vector<ReceivedResource>* out) const;
  std::string SetPath(const std::string& name, const std::string& version) const;

  const std::string directory_;
};

}  // namespace whence::discovery

#endif  // WHENCE_DATAPLANE_DISCOVERY_LAST_GOOD_H_
