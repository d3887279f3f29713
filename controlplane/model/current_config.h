// Where everyone finds the configuration of now.
//
// The config service publishes here what it has committed; discovery is told and serves it. Not
// loaded is not the same as empty: until the first Publish, Get is null, and who serves from it
// must refuse (an empty answer would delete every policy at every agent).
#ifndef WHENCE_CONTROLPLANE_MODEL_CURRENT_CONFIG_H_
#define WHENCE_CONTROLPLANE_MODEL_CURRENT_CONFIG_H_

#include <memory>
#include <mutex>
#include <vector>

#include "controlplane/model/config_state.h"

namespace whence::model {

class ConfigListener {
 public:
  virtual ~ConfigListener() = default;
  // Called once per revision, in rising order, on the publisher's thread. Must be quick (note and
  // wake somebody) and must not call back into CurrentConfig but for Get.
  virtual void OnRevision(std::shared_ptr<const ConfigState> state) = 0;
};

// Thread-safe.
class CurrentConfig {
 public:
  // Null until the store was loaded.
  std::shared_ptr<const ConfigState> Get() const;

  // Makes `state` current and tells the listeners. A state that is not newer than the current one
  // is ignored: of two publishers the later revision wins, whoever comes last.
  void Publish(std::shared_ptr<const ConfigState> state);

  // The listener must outlive *this or be removed; after RemoveListener it is not being called.
  // A listener that is added late is not told of what is already there: it calls Get.
  void AddListener(ConfigListener* listener);
  void RemoveListener(ConfigListener* listener);

 private:
  std::mutex publish_mutex_;  // Held over the calls to listeners; taken before mutex_.
  std::vector<ConfigListener*> listeners_;  // by publish_mutex_
  mutable std::mutex mutex_;
  std::shared_ptr<const ConfigState> state_;  // by mutex_
};

}  // namespace whence::model

#endif  // WHENCE_CONTROLPLANE_MODEL_CURRENT_CONFIG_H_
