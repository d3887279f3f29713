// Things kept for their next use: last in, first out, so that the next user finds its own in the
// cache. What lay unused between two calls of Trim is destroyed, so that a burst costs memory only
// while it lasts. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_SPARES_H_
#define WHENCE_DATAPLANE_PROXY_SPARES_H_

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace whence::proxy {

template <typename T>
class Spares {
 public:
  Spares() : Spares(1024) {}
  // `keep`: more than that is destroyed at once.
  explicit Spares(size_t keep) : keep_(keep) {}

  bool empty() const { return things_.empty(); }
  size_t size() const { return things_.size(); }

  // REQUIRES: not empty.
  T Take() {
    T thing = std::move(things_.back());
    things_.pop_back();
    unused_ = std::min(unused_, things_.size());
    return thing;
  }
  void Give(T thing) {
    if (things_.size() < keep_) things_.push_back(std::move(thing));
  }
  void Trim() {
    // The first are those that nobody came down to.
    things_.erase(things_.begin(), things_.begin() + static_cast<std::ptrdiff_t>(unused_));
    unused_ = things_.size();
  }

 private:
  const size_t keep_;
  std::vector<T> things_;
  size_t unused_ = 0;  // so many at least were there since the last Trim
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SPARES_H_
