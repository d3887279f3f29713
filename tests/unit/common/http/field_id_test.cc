#include "common/http/field_id.h"

#include <gtest/gtest.h>

#include <string>

namespace whence::http {
namespace {

struct Row {
  std::string_view name;
  FieldId want;
};

TEST(FieldIdTest, IdentifiesNamesWithoutRegardToCase) {
  const Row rows[] = {
      {"x-forwarded-for", FieldId::kXForwardedFor},
      {"X-Forwarded-For", FieldId::kXForwardedFor},
      {"X-FORWARDED-FOR", FieldId::kXForwardedFor},
      {"Transfer-Encoding", FieldId::kTransferEncoding},
      {"hOST", FieldId::kHost},
      {"TE", FieldId::kTe},
      {"X-Forwarded-Port", FieldId::kXForwardedOther},
      {"X-Forwarded-", FieldId::kOther},
      {"X-Whence-Client", FieldId::kXWhenceClient},
      {"X-Whence-Whatever", FieldId::kXWhenceOther},
      {"X-Envoy-Max-Retries", FieldId::kXEnvoyOther},
      {"x-envoy-external-address", FieldId::kXEnvoyExternalAddress},
      {"Accept", FieldId::kOther},
      {"Hosts", FieldId::kOther},
      {"T", FieldId::kOther},
      {"x", FieldId::kOther},
      {"", FieldId::kOther},
      {"Keep-Alivf", FieldId::kOther},
  };
  for (const Row& row : rows) EXPECT_EQ(IdentifyField(row.name), row.want) << row.name;
}

// CGI-like applications read content_length and Content-Length as one variable, CONTENT_LENGTH.
TEST(FieldIdTest, RecognisesUnderscoreAliasesOfDangerousNamesOnly) {
  const Row rows[] = {
      {"Content_Length", FieldId::kUnderscoreAlias},
      {"TRANSFER_ENCODING", FieldId::kUnderscoreAlias},
      {"x_forwarded_for", FieldId::kUnderscoreAlias},
      {"x-forwarded_for", FieldId::kUnderscoreAlias},
      {"x_whence_anything", FieldId::kUnderscoreAlias},
      {"true_client_ip", FieldId::kUnderscoreAlias},
      {"my_own_field", FieldId::kOther},
      {"_", FieldId::kOther},
      {"host_", FieldId::kOther},
  };
  for (const Row& row : rows) EXPECT_EQ(IdentifyField(row.name), row.want) << row.name;
}

TEST(FieldIdTest, JudgesAliasesLongerThanItsBufferByTheirPrefix) {
  EXPECT_EQ(IdentifyField("x_envoy_" + std::string(200, 'a')), FieldId::kUnderscoreAlias);
  EXPECT_EQ(IdentifyField("y_envoy_" + std::string(200, 'a')), FieldId::kOther);
}

TEST(FieldIdTest, ForwardedFamilyLeavesOutRequestIdAndHost) {
  EXPECT_TRUE(IsForwardedFamily(FieldId::kForwarded));
  EXPECT_TRUE(IsForwardedFamily(FieldId::kXRealIp));
  EXPECT_TRUE(IsForwardedFamily(FieldId::kXEnvoyOther));
  EXPECT_FALSE(IsForwardedFamily(FieldId::kXRequestId));
  EXPECT_FALSE(IsForwardedFamily(FieldId::kHost));
  EXPECT_FALSE(IsForwardedFamily(FieldId::kOther));
}

}  // namespace
}  // namespace whence::http
