// What a webhook answers: the patch and the text editor must agree on the result.
#include <gtest/gtest.h>

#include "common/inject/injector.h"
#include "tests/unit/common/inject/helpers.h"

namespace whence::inject {
namespace {

constexpr char kPod[] = R"({"kind": "Pod", "metadata": {"name": "a", "annotations": {"a/b~c": "d"}},
  "spec": {"containers": [{"name": "a", "livenessProbe": {"tcpSocket": {"port": 1}, "periodSeconds": 1}}]}})";

TEST(PatchTest, DoesWhatInjectingTheTextDoes) {
  const Json pod = Json::parse(kPod);
  std::vector<std::string> warnings;
  const absl::StatusOr<Json> patch = PatchPod(pod, {}, &warnings);
  ASSERT_TRUE(patch.ok()) << patch.status();
  // As the API server does it: nlohmann's own reader of RFC 6902.
  nlohmann::json patched = nlohmann::json(pod).patch(nlohmann::json(*patch));
  nlohmann::json injected = nlohmann::json(Parse(Inject(kPod, {}).text));
  // A text remembers how it was written; a patch has no text.
  for (nlohmann::json* each : {&patched, &injected}) {
    ASSERT_EQ((*each)["metadata"]["annotations"].erase("whence.dev/status"), 1U);
  }
  EXPECT_EQ(patched, injected);
}

TEST(PatchTest, IsEmptyForAnInjectedPodAndForOneThatIsLeftAlone) {
  std::vector<std::string> warnings;
  EXPECT_EQ(PatchPod(Parse(Inject(kPod, {}).text), {}, &warnings)->size(), 0U);
  Json unwanted = Json::parse(kPod);
  unwanted["metadata"]["labels"]["whence.dev/inject"] = "false";
  EXPECT_EQ(PatchPod(unwanted, {}, &warnings)->size(), 0U);
  EXPECT_FALSE(PatchPod(Json::object(), {}, &warnings).ok());
}

TEST(PatchTest, EscapesKeysAsPointersWantIt) {
  const Json patch = ToJsonPatch({{.kind = Edit::Kind::kRemove, .path = {"annotations", "a/b~c"}}});
  EXPECT_EQ(patch.dump(), R"([{"op":"remove","path":"/annotations/a~1b~0c"}])");
}

}  // namespace
}  // namespace whence::inject
