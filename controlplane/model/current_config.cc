#include "controlplane/model/current_config.h"

#include <algorithm>
#include <utility>

namespace whence::model {

std::shared_ptr<const ConfigState> CurrentConfig::Get() const {
  std::lock_guard lock(mutex_);
  return state_;
}

void CurrentConfig::Publish(std::shared_ptr<const ConfigState> state) {
  std::lock_guard publishing(publish_mutex_);
  {
    std::lock_guard lock(mutex_);
    if (state_ && state->revision <= state_->revision) return;
    state_ = state;
  }
  // Outside mutex_, so that a listener may call Get.
  for (ConfigListener* listener : listeners_) listener->OnRevision(state);
}

void CurrentConfig::AddListener(ConfigListener* listener) {
  std::lock_guard publishing(publish_mutex_);
  listeners_.push_back(listener);
}

void CurrentConfig::RemoveListener(ConfigListener* listener) {
  std::lock_guard publishing(publish_mutex_);
  listeners_.erase(std::remove(listeners_.begin(), listeners_.end(), listener), listeners_.end());
}

}  // namespace whence::model
