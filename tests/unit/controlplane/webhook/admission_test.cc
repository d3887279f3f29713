// Reviews as an API server sends them: pods with defaults and service-account volume filled in.
#include "controlplane/webhook/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/inject/injector.h"

namespace whence::webhook {
namespace {

using inject::Json;
using ::testing::HasSubstr;

std::string Recorded(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(WHENCE_REVIEWS "/" + name + ".json").rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

Json ResponseTo(const std::string& review, Outcome outcome) {
  const absl::StatusOr<Answer> answer = Review(review, {});
  EXPECT_TRUE(answer.ok()) << answer.status();
  if (!answer.ok()) return {};
  EXPECT_EQ(answer->outcome, outcome) << answer->body;
  const Json body = Json::parse(answer->body);
  EXPECT_EQ(body["kind"], "AdmissionReview");
  EXPECT_EQ(body["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(body["response"]["uid"], Json::parse(review)["request"]["uid"]);
  return body["response"];
}

Json PatchOf(const Json& response) {
  std::string text;
  EXPECT_TRUE(absl::Base64Unescape(response["patch"].get<std::string>(), &text));
  return Json::parse(text);
}

TEST(AdmissionTest, MakesOfAPodWhatWhencectlMakesOfItsManifest) {
  for (const char* name : {"deployment", "job", "istio-words"}) {
    const Json review = Json::parse(Recorded(name));
    const Json response = ResponseTo(review.dump(), Outcome::kInjected);
    EXPECT_EQ(response["allowed"], true);
    EXPECT_EQ(response["patchType"], "JSONPatch");
    const Json& pod = review["request"]["object"];
    nlohmann::json patched = nlohmann::json(pod).patch(nlohmann::json(PatchOf(response)));
    nlohmann::json injected = nlohmann::json::parse(inject::Inject(pod.dump(), {}).text);
    for (nlohmann::json* each :
         {&patched, &injected}) {  // a manifest's text is remembered there as well
      ASSERT_EQ((*each)["metadata"]["annotations"].erase("whence.dev/status"), 1U);
    }
    EXPECT_EQ(patched, injected) << name;
    EXPECT_EQ(patched["spec"]["initContainers"][1]["name"], "whence-agent") << name;
  }
}

TEST(AdmissionTest, InjectsAnInjectedPodNoFurther) {
  Json review = Json::parse(Recorded("deployment"));
  const Json response = ResponseTo(review.dump(), Outcome::kInjected);
  review["request"]["object"] =
      nlohmann::json(review["request"]["object"]).patch(nlohmann::json(PatchOf(response)));
  EXPECT_FALSE(ResponseTo(review.dump(), Outcome::kLeftAlone).contains("patch"));
}

// Else whoever reaches the port could have megabytes kept for each connection, and written to the log.
TEST(AdmissionTest, SaysLittleHoweverMuchItWasTold) {
  const std::string much(3'000'000, 'x');
  Json review = Json::parse(Recorded("deployment"));
  review["request"]["uid"] = much;
  EXPECT_EQ(Review(review.dump(), {}).status().code(), absl::StatusCode::kInvalidArgument);
  review = Json::parse(Recorded("deployment"));
  review["request"]["object"]["metadata"]["generateName"] = much;
  review["request"]["object"]["metadata"]["annotations"]["whence.dev/mode"] = much;
  const absl::StatusOr<Answer> answer = Review(review.dump(), {});
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->outcome, Outcome::kRefused);
  EXPECT_LT(answer->body.size(), 4096U);
  EXPECT_LT(answer->about.size(), 1024U);
  EXPECT_LT(answer->why.size(), 2048U);
}

TEST(AdmissionTest, ShowsItsWarningsToWhoeverMakesThePod) {
  const Json response = ResponseTo(Recorded("istio-words"), Outcome::kInjected);
  ASSERT_EQ(response["warnings"].size(), 1U);
  EXPECT_THAT(response["warnings"][0].get<std::string>(), HasSubstr("excludeOutboundPorts"));
}

TEST(AdmissionTest, AllowsUnchangedWhateverIsNotItsMatter) {
  for (const char* name : {"unwanted", "host-network", "delete", "exec", "other-kind"}) {
    const Json response = ResponseTo(Recorded(name), Outcome::kLeftAlone);
    EXPECT_EQ(response["allowed"], true) << name;
    EXPECT_FALSE(response.contains("patch")) << name;
  }
}

TEST(AdmissionTest, RefusesAPodWithWrongAnnotationsAndSaysWhich) {
  const Json response = ResponseTo(Recorded("wrong-annotation"), Outcome::kRefused);
  EXPECT_EQ(response["allowed"], false);
  EXPECT_EQ(response["status"]["code"], 400);
  EXPECT_THAT(response["status"]["message"].get<std::string>(),
              HasSubstr("whence.dev/exclude-inbound-ports: \"80,http\""));
}

TEST(AdmissionTest, RefusesWhatIsNoReview) {
  Json old = Json::parse(Recorded("deployment"));
  old["apiVersion"] = "admission.k8s.io/v1beta1";
  Json nameless = Json::parse(Recorded("deployment"));
  nameless["request"].erase("uid");
  for (
      const std::string& body :
      {std::string(), std::string("null"), std::string("[]"), std::string("{"),
       std::string("\xff\xfe"), Recorded("deployment") + "{}",
       Recorded("deployment").substr(0, 400), old.dump(), nameless.dump(),
       std::string(R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"})"),
       std::string(
           R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":[]}})")}) {
    EXPECT_EQ(Review(body, {}).status().code(), absl::StatusCode::kInvalidArgument)
        << body.substr(0, 80);
  }
}

TEST(AdmissionTest, BearsAnyFieldToBeOfAnyType) {
  const Json review = Json::parse(Recorded("deployment"));
  const Json flat = review.flatten();
  for (const auto& [pointer, ignored] : flat.items()) {
    for (const Json& odd :
         {Json(nullptr), Json(7), Json("x"), Json::array({1}), Json::object({{"a", 1}})}) {
      // The value itself, and each thing around it.
      for (Json::json_pointer path(pointer); !path.empty(); path = path.parent_pointer()) {
        Json changed = review;
        changed[path] = odd;
        EXPECT_NO_THROW((void)Review(changed.dump(), {})) << path.to_string() << " " << odd;
      }
    }
  }
}

// Made of the review's own bytes, so that only size is wrong with them.
TEST(AdmissionTest, IsNotWornDownByDepthOrByManyKeys) {
  const auto began = std::chrono::steady_clock::now();
  const std::string head =
      R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u",)";
  for (const char* unit : {"[", "{\"a\":"}) {
    std::string deep = head + "\"object\":";
    while (deep.size() < 4'000'000) deep += unit;
    EXPECT_THAT(std::string(Review(deep, {}).status().message()), HasSubstr("nested deeper"));
  }
  for (int keys_of_object : {3'999, 400'000}) {
    std::string wide = head + "\"object\":[";
    for (int i = 0; i < 400'000; ++i) {
      if (i % keys_of_object == 0) wide += i == 0 ? "{" : "\"z\":1},{";
      wide += absl::StrCat("\"", i, "\":1,");
    }
    wide += "\"z\":1}]}}";
    EXPECT_THAT(std::string(Review(wide, {}).status().message()), HasSubstr("more keys"));
  }
  // Generous for a loaded machine with sanitizers; without bounds it would be minutes.
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
}

}  // namespace
}  // namespace whence::webhook
