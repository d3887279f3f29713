#include "controlplane/webhook/admission.h"

#include <array>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/inject/injector.h"

namespace whence::webhook {
namespace {

using inject::At;
using inject::Json;

constexpr char kApiVersion[] = "admission.k8s.io/v1";
constexpr int kMaxDepth = 100;              // an object in a review nests about 30
constexpr size_t kMaxKeys = 100'000;        // of the whole review
constexpr size_t kMaxKeysOfObject = 4'000;  // finding a key walks over all of them
// The API server cuts all warnings together at 4,096 bytes.
constexpr size_t kMaxWarnings = 16, kMaxWarningBytes = 250;
// What is said back, and logged, is short whatever was sent: a uid has 36 bytes, names at most 253
// each. Answers that nobody reads would otherwise pile up, as large as what was asked.
constexpr size_t kMaxUidBytes = 128, kMaxAboutBytes = 520, kMaxWhyBytes = 1024;

std::string Text(const Json& value) { return value.is_string() ? value.get<std::string>() : ""; }

// Counts while the parser works and lets nothing in once a bound is passed.
class Bounds {
 public:
  bool Allow(int depth, Json::parse_event_t event) {
    if (depth > kMaxDepth) exceeded_ = true;
    if (exceeded_) return false;
    const auto level = static_cast<size_t>(depth);
    if (event == Json::parse_event_t::object_start) keys_[level + 1] = 0;
    if (event == Json::parse_event_t::key) {
      if (++total_ > kMaxKeys || ++keys_[level] > kMaxKeysOfObject) exceeded_ = true;
    }
    return !exceeded_;
  }
  bool exceeded() const { return exceeded_; }

 private:
  // By depth. A key's depth is that of its object's start and one.
  std::array<size_t, kMaxDepth + 2> keys_{};
  size_t total_ = 0;
  bool exceeded_ = false;
};

absl::StatusOr<Json> Parse(std::string_view body) {
  Bounds bounds;
  Json review = Json::parse(
      body.begin(), body.end(),
      [&bounds](int depth, Json::parse_event_t event, Json&) { return bounds.Allow(depth, event); },
      /*allow_exceptions=*/false);
  if (bounds.exceeded()) {
    return absl::InvalidArgumentError("nested deeper, or with more keys, than any pod is");
  }
  if (!review.is_object()) return absl::InvalidArgumentError("no JSON object");
  if (At(review, {"apiVersion"}) != kApiVersion || At(review, {"kind"}) != "AdmissionReview") {
    return absl::InvalidArgumentError(
        absl::StrCat("kind must be AdmissionReview, and apiVersion ", kApiVersion));
  }
  const Json& request = At(review, {"request"});
  const std::string uid = request.is_object() ? Text(At(request, {"uid"})) : "";
  if (uid.empty() || uid.size() > kMaxUidBytes) {
    return absl::InvalidArgumentError("request.uid is missing, or is none");
  }
  return review;
}

bool IsPodToCreate(const Json& request) {
  const Json& resource = At(request, {"resource"});
  return At(request, {"operation"}) == "CREATE" && At(resource, {"group"}) == "" &&
         At(resource, {"version"}) == "v1" && At(resource, {"resource"}) == "pods" &&
         Text(At(request, {"subResource"})).empty();
}

std::string NameOf(const Json& request) {
  std::string name = Text(At(request, {"object", "metadata", "name"}));
  if (name.empty()) name = Text(At(request, {"object", "metadata", "generateName"})) + "*";
  return Text(At(request, {"namespace"})) + "/" + name;
}

std::string Cut(std::string text, size_t bytes) {
  if (text.size() > bytes) text.resize(bytes);
  return text;
}

Json Warnings(const std::vector<std::string>& warnings) {
  Json out = Json::array();
  for (const std::string& warning : warnings) {
    if (out.size() == kMaxWarnings) break;
    out.push_back(Cut(absl::StrCat("whence: ", warning), kMaxWarningBytes));
  }
  return out;
}

// Messages quote the pod, whose text was checked by the parser, but a cut may split a character.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

absl::StatusOr<Answer> Review(std::string_view body, const inject::Settings& defaults) {
  const absl::StatusOr<Json> review = Parse(body);
  if (!review.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body is no AdmissionReview: ", review.status().message()));
  }
  const Json& request = At(*review, {"request"});
  Answer answer;
  answer.about = Cut(NameOf(request), kMaxAboutBytes);
  Json response = {{"uid", At(request, {"uid"})}, {"allowed", true}};
  if (IsPodToCreate(request)) {
    std::vector<std::string> warnings;
    const absl::StatusOr<Json> patch =
        inject::PatchPod(At(request, {"object"}), defaults, &warnings);
    if (!patch.ok()) {
      answer.outcome = Outcome::kRefused;
      answer.why = Cut(std::string(patch.status().message()), kMaxWhyBytes);
      response["allowed"] = false;
      response["status"] = {
          {"code", 400}, {"reason", "BadRequest"}, {"message", "whence: " + answer.why}};
    } else if (!patch->empty()) {
      answer.outcome = Outcome::kInjected;
      response["patchType"] = "JSONPatch";
      response["patch"] = absl::Base64Escape(Dump(*patch));
      if (!warnings.empty()) response["warnings"] = Warnings(warnings);
    }
  }
  answer.body = Dump({{"apiVersion", kApiVersion},
                      {"kind", "AdmissionReview"},
                      {"response", std::move(response)}});
  return answer;
}

}  // namespace whence::webhook
