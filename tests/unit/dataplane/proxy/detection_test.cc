#include "dataplane/proxy/detection.h"

#include <string>

#include "gtest/gtest.h"

namespace whence::proxy {
namespace {

constexpr Detected kMore = Detected::kNeedMore;
constexpr Detected kHttp = Detected::kHttp;
constexpr Detected kOther = Detected::kOther;

struct Case {
  const char* name;
  std::string bytes;
  Detected want;
};

class DetectionTest : public testing::TestWithParam<Case> {};

TEST_P(DetectionTest, TellsFromTheFirstBytes) {
  EXPECT_EQ(Detect(GetParam().bytes), GetParam().want);
}

// Splitting must not change the answer: every prefix is undecided or already right.
TEST_P(DetectionTest, NeverChangesItsMind) {
  for (size_t size = 0; size < GetParam().bytes.size(); ++size) {
    const Detected early = Detect(std::string_view(GetParam().bytes).substr(0, size));
    EXPECT_TRUE(early == kMore || early == GetParam().want) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DetectionTest,
    testing::Values(
        Case{"Nothing", "", kMore}, Case{"Get", "GET / HTTP/1.1\r\n", kHttp},
        Case{"PathDecides", "PROPFIND /", kHttp}, Case{"MethodAlone", "GET", kMore},
        Case{"Absolute", "GET http://a/ HTTP/1.1\r\n", kHttp},
        Case{"Options", "OPTIONS * HTTP/1.1\r\n", kHttp},
        Case{"Connect", "CONNECT a:443 HTTP/1.1\r\n", kHttp},
        Case{"UnknownMethod", "BREW /pot HTTP/1.1\r\n", kHttp},
        // What a lenient server would take for a request has to meet the strict parser.
        Case{"LeadingLines", "\r\n\r\nGET / HTTP/1.1\r\n", kHttp},
        Case{"LeadingBlank", " GET / HTTP/1.1\r\n", kHttp},
        Case{"DoubleBlank", "GET  / HTTP/1.1\r\n", kHttp},
        Case{"Tab", "GET\t/ HTTP/1.1\r\n", kHttp}, Case{"BareLf", "GET a HTTP/1.1\n", kHttp},
        Case{"LowerCase", "get x http/1.0\r\n", kHttp}, Case{"Http09", "GET /\r\n", kHttp},
        Case{"BareCr", "GET\r/ HTTP/1.1\r\n", kHttp}, Case{"CrSoFar", "PING\r", kMore},
        Case{"OddMethod", "G@T / HTTP/1.1\r\n", kHttp},
        Case{"OddBytes", "G\xe9T / HTTP/1.1\r\n", kHttp},
        // Other text protocols.
        Case{"Smtp", "EHLO mail.example\r\n", kOther}, Case{"Ftp", "USER anonymous\r\n", kOther},
        Case{"Memcached", "get key\r\n", kOther}, Case{"RedisInline", "PING\r\n", kOther},
        Case{"Redis", "*1\r\n$4\r\nPING\r\n", kOther}, Case{"Ssh", "SSH-2.0-OpenSSH\r\n", kOther},
        Case{"Json", "{\"id\":1}", kOther}, Case{"Xmpp", "<?xml version='1.0'?>", kOther},
        // Binary.
        Case{"Amqp", std::string("AMQP\0\0\x09\x01", 8), kOther},
        Case{"Tls", std::string("\x16\x03\x01\x02\x00", 5), kOther},
        Case{"Postgres", std::string("\0\0\0\x08\x04\xd2\x16\x2f", 8), kOther},
        Case{"Proxy2", "\r\n\r\n\0\r\nQUIT\n", kMore},
        Case{"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", kOther},
        Case{"LongMethod", std::string(40, 'A') + " / HTTP/1.1\r\n", kHttp},
        Case{"LongMethodSoFar", std::string(400, 'A'), kMore},
        Case{"EndlessMethod", std::string(kDetectionBytes, 'A'), kHttp},
        Case{"LongWord", std::string(400, 'A') + "\r\n", kOther},
        Case{"VerticalTab", "GET\v/ HTTP/1.1\r\n", kHttp},
        Case{"UnitSeparator", "GET\x1f/ HTTP/1.1\r\n", kHttp},
        Case{"LongTarget", "GET " + std::string(kDetectionBytes, 'a'), kHttp}),
    [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace whence::proxy
