#include "dataplane/admin/app_probes.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>

#include "tests/support/free_port.h"

namespace whence::admin {
namespace {

using testing::HasSubstr;

net::IpAddress Loopback() { return *net::IpAddress::Parse("127.0.0.1"); }

TEST(AppProbesTest, RefusesWhatIsNoProbe) {
  for (const char* probe :
       {"1", "{}", R"({"httpGet":{"path":"/"}})", R"({"tcpSocket":{"port":0}})",
        R"({"tcpSocket":{"port":"web"}})", R"({"exec":{"port":1}})",
        R"({"httpGet":{"port":1},"tcpSocket":{"port":1}})",
        R"({"httpGet":{"port":1,"scheme":"HTTPS"}})",
        R"({"httpGet":{"port":1,"path":"/a\r\nX: y"}})",
        R"({"httpGet":{"port":1,"httpHeaders":[{"name":"a","value":"b\nc: d"}]}})",
        R"({"tcpSocket":{"port":1},"timeoutSeconds":0})"}) {
    EXPECT_FALSE(ParseAppProbes(std::string(R"({"/app-health/web/livez":)") + probe + "}").ok())
        << probe;
  }
  EXPECT_FALSE(ParseAppProbes("[").ok());
  EXPECT_FALSE(ParseAppProbes(R"({"/metrics":{"tcpSocket":{"port":1}}})").ok());
}

TEST(AppProbesTest, ReadsWhatInjectionWrites) {
  const auto probes = ParseAppProbes(
      R"({"/app-health/web/livez":{"httpGet":{"path":"live","port":8080,"httpHeaders":[{"name":"Host","value":"web"}]},)"
      R"("timeoutSeconds":3},"/app-health/db/readyz":{"grpc":{"port":9,"service":"db"}}})");
  ASSERT_TRUE(probes.ok()) << probes.status();
  const AppProbe& web = probes->at("/app-health/web/livez");
  EXPECT_EQ(web.path, "/live");
  EXPECT_EQ(web.port, 8080);
  EXPECT_EQ(web.timeout, std::chrono::seconds(3));
  EXPECT_EQ(web.headers.size(), 1U);
  EXPECT_EQ(probes->at("/app-health/db/readyz").service, "db");
}

// The application: an HTTP server that is well at /well only.
class AppProbeAskTest : public testing::Test {
 protected:
  AppProbeAskTest() : port_(FreePort()) {
    const absl::Status status =
        application_.Listen({Loopback(), port_}, [](const HttpRequest& request) {
          return request.path == "/well" && request.host == "web" ? HttpResponse{200, "ok"}
                                                                  : HttpResponse{503, "ill"};
        });
    EXPECT_TRUE(status.ok()) << status;
    application_.Start();
  }

  AppProbe Http(const char* path) const {
    return {
        .kind = AppProbe::Kind::kHttp, .port = port_, .path = path, .headers = {{"host", "web"}}};
  }

  const uint16_t port_;
  HttpServer application_;
};

TEST_F(AppProbeAskTest, TakesTheApplicationsWord) {
  EXPECT_TRUE(Ask(Http("/well"), Loopback()).ok());
  EXPECT_THAT(std::string(Ask(Http("/ill"), Loopback()).message()), HasSubstr("answered 503"));
  EXPECT_TRUE(Ask({.port = port_}, Loopback()).ok());
  application_.Stop();
  const AppProbe nobody{.port = FreePort()};
  EXPECT_THAT(std::string(Ask(nobody, Loopback()).message()), HasSubstr("Connection refused"));
}

TEST_F(AppProbeAskTest, AnswersTheKubeletThroughTheHealthPort) {
  AppProber prober(
      {{"/app-health/web/livez", Http("/well")}, {"/app-health/web/readyz", Http("/ill")}},
      Loopback());
  HttpServer health;
  const uint16_t port = FreePort();
  ASSERT_TRUE(health
                  .ListenSlow({Loopback(), port},
                              [&](const HttpRequest& request, const HttpServer::Reply& reply) {
                                if (!prober.Answer(request.path, reply))
                                  reply({404, "no such page\n"});
                              })
                  .ok());
  health.Start();
  const auto ask = [&](const char* path) {
    return Ask({.kind = AppProbe::Kind::kHttp, .port = port, .path = path}, Loopback());
  };
  EXPECT_TRUE(ask("/app-health/web/livez").ok());
  EXPECT_THAT(std::string(ask("/app-health/web/readyz").message()), HasSubstr("503"));
  EXPECT_THAT(std::string(ask("/app-health/web/startupz").message()), HasSubstr("404"));
}

TEST(AppProbeGrpcTest, AsksTheStandardHealthService) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  grpc::CallbackGenericService nothing;  // a server needs some service of its own to run
  builder.RegisterCallbackGenericService(&nothing);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  server->GetHealthCheckService()->SetServingStatus("db", false);
  AppProbe probe{.kind = AppProbe::Kind::kGrpc,
                 .port = static_cast<uint16_t>(port),
                 .timeout = std::chrono::seconds(5)};
  EXPECT_TRUE(Ask(probe, Loopback()).ok());
  probe.service = "db";
  EXPECT_THAT(std::string(Ask(probe, Loopback()).message()), HasSubstr("not serving"));
  probe.service = "unknown";
  EXPECT_FALSE(Ask(probe, Loopback()).ok());
}

}  // namespace
}  // namespace whence::admin
