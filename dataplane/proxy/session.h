// What a downstream connection is once its protocol is known: HTTP or TCP.
#ifndef WHENCE_DATAPLANE_PROXY_SESSION_H_
#define WHENCE_DATAPLANE_PROXY_SESSION_H_

#include "dataplane/access_log/record.h"
#include "dataplane/loop/event_loop.h"

namespace whence::proxy {

// Loop-affine. Owned by its Downstream; any call may end in Downstream::Close, after which the
// session lives on to the end of the round, and does nothing.
class Session : public loop::Retirable {
 public:
  // The downstream's readiness changed.
  virtual void OnDownstream() = 0;
  // The timer that the session armed on its downstream ran out.
  virtual void OnTimer() = 0;
  // To be judged again, by the newest snapshot and at this moment: what is denied has to end.
  virtual void Rejudge() = 0;
  // There is a newer snapshot.
  virtual void OnSnapshot() { Rejudge(); }
  // Ends as soon as that is polite.
  virtual void OnDrain() = 0;
  // The connection is about to be cut from outside: the last chance to leave a record.
  virtual void OnCut(access_log::Flag reason) = 0;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_SESSION_H_
