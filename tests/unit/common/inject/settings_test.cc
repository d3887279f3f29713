#include "common/inject/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/common/inject/helpers.h"

namespace whence::inject {
namespace {

using testing::HasSubstr;

TEST(InjectSettingsTest, RefusesWhatItCannotFollow) {
  for (const char* annotation :
       {"whence.dev/injected: 'true'", "whence.dev/inject: maybe",
        "whence.dev/interception-mode: ebpf", "sidecar.istio.io/interceptionMode: NONE",
        "whence.dev/exclude-inbound-ports: '8080,http'",
        "whence.dev/exclude-inbound-ports: '70000'", "whence.dev/cpu: lots",
        "whence.dev/control-plane: http://a", "whence.dev/image: a b",
        "whence.dev/exclude-inbound-ports: '*'", "proxy.istio.io/config: '{['"}) {
    const auto read = ReadSettings({}, Parse(std::string("annotations: {") + annotation + "}"));
    ASSERT_FALSE(read.ok()) << annotation;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("annotation ")) << annotation;
  }
}

TEST(InjectSettingsTest, ReadsIstiosSpellingAndPrefersItsOwn) {
  const auto read = ReadSettings({}, Parse(R"(
labels: {sidecar.istio.io/inject: "true"}
annotations:
  sidecar.istio.io/interceptionMode: REDIRECT
  traffic.sidecar.istio.io/excludeInboundPorts: "9090, 9091"
  traffic.sidecar.istio.io/excludeOutboundPorts: "3306"
  traffic.sidecar.istio.io/includeInboundPorts: "*"
  whence.dev/interception-mode: tproxy
  whence.dev/on-exit: bypass
  proxy.istio.io/config: |
    gatewayTopology:
      numTrustedProxies: 2
      forwardClientCertDetails: SANITIZE
)"));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->settings.mode, "tproxy");
  EXPECT_EQ(read->settings.on_exit, "bypass");
  EXPECT_EQ(read->settings.exclude_ports, "9090,9091");
  EXPECT_EQ(read->settings.include_ports, "");
  EXPECT_EQ(read->trust_topology.dump(), R"({"numTrustedProxies":2})");
  EXPECT_THAT(read->warnings, testing::UnorderedElementsAre(HasSubstr("forwardClientCertDetails"),
                                                            HasSubstr("excludeOutboundPorts")));
}

TEST(InjectSettingsTest, AnnotationOrLabelCanSayNo) {
  for (const char* metadata :
       {"annotations: {whence.dev/inject: 'false'}", "labels: {whence.dev/inject: 'false'}",
        "annotations: {sidecar.istio.io/inject: 'false'}"}) {
    const auto read = ReadSettings({}, Parse(metadata));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_FALSE(read->wanted) << metadata;
  }
}

}  // namespace
}  // namespace whence::inject
