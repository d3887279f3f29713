#include "common/http/hop_by_hop.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace whence::http {
namespace {

struct Judged {
  std::vector<std::string> kept;
  ConnectionOptions options;
};

Judged Judge(const std::vector<HeaderField>& fields, bool upgrade_may_pass = true) {
  std::vector<FieldId> ids;
  for (const HeaderField& field : fields) ids.push_back(IdentifyField(field.name));
  Judged read;
  read.options = ReadConnectionOptions(fields, ids, upgrade_may_pass);
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!read.options.drop.Contains(i)) read.kept.emplace_back(fields[i].name);
  }
  return read;
}

using Names = std::vector<std::string>;

TEST(HopByHopTest, NominatingAProtectedFieldIsRefused) {
  for (std::string_view name :
       {"host", "Content-Length", "transfer-encoding", "X-Forwarded-For", "x-forwarded-proto",
        "X-Forwarded-Anything", "Forwarded", "x-real-ip", "x-whence-client", "x-whence-new",
        "x-envoy-external-address", "x-envoy-internal", "true-client-ip", "CF-Connecting-IP",
        "expect"}) {
    const std::string list = "close,  " + std::string(name);
    EXPECT_EQ(Judge({{"Connection", list}}).options.error, "Connection names a protected field")
        << name;
    // Also in a second Connection field.
    EXPECT_FALSE(Judge({{"Connection", "close"}, {"connection", name}}).options.error.empty())
        << name;
  }
}

TEST(HopByHopTest, DropsNominatedFieldsWithoutRegardToCase) {
  const Judged read = Judge({{"X-Hop", "1"},
                             {"cOnNeCtIoN", ",x-hOP ,, Other"},
                             {"Keep", "2"},
                             {"x-hop", "3"},
                             {"other", "4"}});
  EXPECT_EQ(read.kept, Names{"Keep"});
  EXPECT_TRUE(read.options.error.empty());
}

TEST(HopByHopTest, DropsWhatIsHopByHopByName) {
  const Judged read = Judge({{"Keep-Alive", "timeout=5"},
                             {"Proxy-Connection", "keep-alive"},
                             {"Trailer", "X"},
                             {"Upgrade", "h2c"},
                             {"HTTP2-Settings", "AA"},
                             {"TE", "gzip"},
                             {"Content_Length", "4"},
                             {"Content-Length", "4"},
                             {"Accept", "*/*"}});
  EXPECT_EQ(read.kept, (Names{"Content-Length", "Accept"}));
}

TEST(HopByHopTest, TeTrailersTravelsOn) {
  EXPECT_EQ(Judge({{"TE", "Trailers"}, {"Connection", "TE"}}).kept, Names{"TE"});
  EXPECT_EQ(Judge({{"TE", "trailers, gzip"}, {"Connection", "TE"}}).kept, Names{});
}

TEST(HopByHopTest, UpgradeTravelsOnlyWhenNominated) {
  EXPECT_EQ(Judge({{"Upgrade", "websocket"}, {"Connection", "x, Upgrade"}}).kept, Names{"Upgrade"});
  EXPECT_EQ(Judge({{"Upgrade", "websocket"}}).kept, Names{});
  EXPECT_EQ(
      Judge({{"Upgrade", "websocket"}, {"Connection", "upgrade"}}, /*upgrade_may_pass=*/false).kept,
      Names{});
  EXPECT_EQ(Judge({{"Upgrade", "a, h2c ,b"}, {"Connection", "upgrade"}}).kept, Names{});
}

TEST(HopByHopTest, WorkIsBounded) {
  std::string list;
  for (int i = 0; i < kMaxConnectionOptions; ++i) list += "x,";
  EXPECT_TRUE(Judge({{"Connection", list}}).options.error.empty());
  list += "x";
  const Judged read = Judge({{"Connection", list}});
  EXPECT_EQ(read.options.error, "too many Connection options");
  EXPECT_TRUE(read.options.too_many);
}

TEST(HopByHopTest, TrailersThatMeanSomethingInAHeadDoNotPass) {
  for (std::string_view name :
       {"Content-Length", "transfer-encoding", "Host", "X-Forwarded-For", "x_forwarded_for",
        "Set-Cookie", "Authorization", "If-Match", "Content-Type", "X-Whence-Client", "trailer"}) {
    EXPECT_FALSE(TrailerMayPass(name)) << name;
  }
  for (std::string_view name : {"grpc-status", "Server-Timing", "Digest", "X-Checksum", "ETag"}) {
    EXPECT_TRUE(TrailerMayPass(name)) << name;
  }
}

}  // namespace
}  // namespace whence::http
