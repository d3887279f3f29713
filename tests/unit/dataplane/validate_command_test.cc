#include "dataplane/validate_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace whence {
namespace {

using testing::HasSubstr;

class ValidateCommandTest : public testing::Test {
 protected:
  ValidateCommandTest() {
    path_ = std::filesystem::temp_directory_path() /
            ("whence-validate-" + std::to_string(getpid()) + ".yaml");
  }
  ~ValidateCommandTest() override { std::filesystem::remove(path_); }

  int Validate(std::string_view text, bool json) {
    std::ofstream(path_) << text;
    out_.str("");
    err_.str("");
    return RunValidate({.paths = {path_.string()}, .json = json}, out_, err_);
  }

  std::filesystem::path path_;
  std::ostringstream out_, err_;
};

constexpr char kGood[] = R"(apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: edge, namespace: shop}
spec: {numTrustedProxies: 2}
)";
constexpr char kBad[] = R"(apiVersion: whence.dev/v1
kind: TrustTopology
metadata: {name: edge, namespace: shop}
spec: {numTrustedProxy: 2, trustedProxies: {cidrs: [10.0.0.0/33]}}
)";

TEST_F(ValidateCommandTest, ListsEveryFaultWhereErrorsGo) {
  EXPECT_EQ(Validate(kBad, false), 1);
  EXPECT_EQ(out_.str(), "");
  EXPECT_THAT(err_.str(), HasSubstr("numTrustedProxies"));
  EXPECT_THAT(err_.str(), HasSubstr("10.0.0.0/33"));
  EXPECT_THAT(err_.str(), HasSubstr("2 faults"));
  EXPECT_EQ(Validate(kGood, false), 0);
  EXPECT_EQ(out_.str(), "1 documents, no faults\n");
}

TEST_F(ValidateCommandTest, PrintsJsonForPrograms) {
  EXPECT_EQ(Validate(kBad, true), 1);
  EXPECT_EQ(err_.str(), "");
  nlohmann::json json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["faults"].size(), 2);
  EXPECT_EQ(Validate(kGood, true), 0);
  json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["documents"], 1);
  EXPECT_TRUE(json["faults"].empty());
}

}  // namespace
}  // namespace whence
