// The answer to an AdmissionReview: may this pod be made, and with which changes?
//
// Kubernetes, admission.k8s.io/v1: the API server posts a review with a `request` and takes from the
// `response` with the same uid whether the object is allowed, and a JSON Patch to apply to it. The
// patch is the one that `whencectl inject` would have put into the manifest (common/inject).
//
// Pure. The review comes from whoever reaches the port, so it is bounded before it is believed:
// nesting and the number of keys, since a crafted document could otherwise cost stack or seconds.
#ifndef WHENCE_CONTROLPLANE_WEBHOOK_ADMISSION_H_
#define WHENCE_CONTROLPLANE_WEBHOOK_ADMISSION_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/inject/settings.h"

namespace whence::webhook {

enum class Outcome { kInjected, kLeftAlone, kRefused };

struct Answer {
  std::string body;  // an AdmissionReview, JSON
  Outcome outcome = Outcome::kLeftAlone;
  std::string about;  // "shop/web-*", for the log; from the network
  std::string why;    // kRefused: what is wrong with the pod
};

// Only the creation of pods is changed; whatever else is asked is allowed as it is. A pod whose own
// annotations are wrong is refused, with a message for its author. InvalidArgument: not a review.
absl::StatusOr<Answer> Review(std::string_view body, const inject::Settings& defaults);

}  // namespace whence::webhook

#endif  // WHENCE_CONTROLPLANE_WEBHOOK_ADMISSION_H_
