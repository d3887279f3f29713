#include "controlplane/metrics/metrics.h"

#include <gtest/gtest.h>

namespace whence::metrics {
namespace {

TEST(MetricsTest, WritesFamiliesAndSamples) {
  TextWriter out;
  out.Counter("a_total", "How many.");
  out.Sample(uint64_t{18446744073709551615u}, {{"x", "1"}, {"y", "q\"\\\n"}});
  out.Gauge("b", "How much.");
  out.Sample(0.25);
  EXPECT_EQ(out.text(),
            "# HELP a_total How many.\n# TYPE a_total counter\n"
            "a_total{x=\"1\",y=\"q\\\"\\\\\\n\"} 18446744073709551615\n"
            "# HELP b How much.\n# TYPE b gauge\nb 0.25\n");
}

}  // namespace
}  // namespace whence::metrics
