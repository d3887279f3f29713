// The console on a real control plane, with records in its log, and when somebody keeps it busy.
#include "controlplane/console/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/http_server.h"
#include "tests/unit/controlplane/console/http_client.h"
#include "tests/unit/controlplane/control_fixture.h"
#include "tests/unit/controlplane/ctl/plane_fixture.h"

namespace whence::console {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ConsoleTest : public ctl::PlaneFixture {
 protected:
  std::string Page(const std::string& target) const {
    const std::string address = plane_->http_address();
    return Get(std::stoi(address.substr(address.rfind(':') + 1)), target);
  }

  v1::AccessRecord Record(char last_octet, v1::Decision decision) const {
    v1::AccessRecord record;
    record.set_time_us(clock_.Now().time_since_epoch().count());
    record.set_protocol("http/1.1");
    const std::string address("\0\0\0\0\0\0\0\0\0\0\xff\xff\x02\x02\x02", 15);
    record.set_client_address(address + last_octet);
    record.set_method("GET");
    record.set_host("shop.example");
    record.set_path("/<script>alert(1)</script>\x1b[2J");
    record.set_decision(decision);
    if (decision == v1::DENY_DECISION) record.set_policy("shop/edge");
    return record;
  }

  void Apply() {
    v1::ApplyRequest request;
    request.add_files()->set_content(
        "apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: feed}\n"
        "spec: {cidrs: [2.2.2.0/24]}");
    request.set_message("<b>first</b>");
    v1::ApplyResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(v1::ConfigService::NewStub(channel_)->Apply(&context, request, &response).ok());
    EXPECT_EQ(response.revision(), 1u);
  }
};

TEST_F(ConsoleTest, ShowsConfigurationAndRecords) {
  EXPECT_THAT(Page("/"), AllOf(HasSubstr("<td>Access records stored</td><td>0</td>"),
                               HasSubstr("Nothing was ever applied.")));
  Apply();
  Ingest(1, {Record(1, v1::ALLOW_DECISION), Record(2, v1::DENY_DECISION),
             Record(3, v1::DENY_DECISION)});
  const std::string overview = Page("/");
  EXPECT_THAT(overview, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(overview, HasSubstr("<td>Revision in force</td><td>1</td>"));
  EXPECT_THAT(overview, HasSubstr("<td>1 IpSet</td>"));
  EXPECT_THAT(overview, HasSubstr("<td>Access records stored</td><td>3</td>"));
  EXPECT_THAT(overview, HasSubstr("&lt;b&gt;first&lt;/b&gt;"));
  EXPECT_THAT(overview, HasSubstr("IpSet default/feed created"));

  const std::string logs = Page("/logs");
  EXPECT_LT(logs.find("<td>2.2.2.3</td>"), logs.find("<td>2.2.2.1</td>"));
  EXPECT_THAT(logs, HasSubstr("/&lt;script&gt;alert(1)&lt;/script&gt;\\x1b[2J"));
  EXPECT_THAT(logs, Not(HasSubstr("<script")));
  EXPECT_THAT(Page("/logs?client=2.2.2.2%2F32&workload=shop%2Fweb&decision=deny&since=1h"),
              AllOf(HasSubstr("<td>2.2.2.2</td>"), Not(HasSubstr("<td>2.2.2.3</td>"))));
  EXPECT_THAT(Page("/logs?decision=allow"), Not(HasSubstr("<td>2.2.2.2</td>")));

  const std::string top = Page("/top");
  EXPECT_THAT(top, HasSubstr("<td>shop/web</td><td>3</td><td>2</td>"));
  EXPECT_THAT(top, HasSubstr("<td>2.2.2.3</td><td>1</td><td>shop/edge</td>"));
}

TEST_F(ConsoleTest, ShowsAHundredRecordsAndLinksTheRest) {
  std::vector<v1::AccessRecord> records(kMaxRecords + 1, Record(1, v1::ALLOW_DECISION));
  records[0] = Record(9, v1::DENY_DECISION);
  records[0].set_time_us(records[1].time_us() - 1);
  Ingest(1, records);
  const std::string newest = Page("/logs");
  EXPECT_THAT(newest, Not(HasSubstr("<td>2.2.2.9</td>")));
  const std::string link = "<a href=\"";
  const size_t begin = newest.find(link + "/logs?before=") + link.size();
  const std::string older = Page(newest.substr(begin, newest.find('"', begin) - begin));
  EXPECT_THAT(older, AllOf(HasSubstr("<td>2.2.2.9</td>"), Not(HasSubstr("<td>2.2.2.1</td>"))));
}

TEST_F(ConsoleTest, SaysWhatIsWrongWithAQuestion) {
  const std::pair<const char*, const char*> cases[] = {
      {"/logs?client=2.2.2", "client &quot;2.2.2&quot;: give an address or a CIDR"},
      {"/logs?decision=maybe", "decision: must be allow, deny or dry-run-deny"},
      {"/logs?limit=1000000", "&quot;limit&quot;: there is no such filter"},
      {"/top?since=yesterday", "since &quot;yesterday&quot;: give a duration such as 10m"},
      {"/?client=1", "This page takes no filters"},
  };
  for (const auto& [target, want] : cases) {
    EXPECT_THAT(Page(target), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr(want))) << target;
  }
  EXPECT_THAT(Page("/logs?before=7"),
              AllOf(StartsWith("HTTP/1.1 404 "), HasSubstr("there is no record 7")));
  for (const char* target : {"/log", "/logs/", "//", "/%6Cogs", "/logs%3Fclient=1"}) {
    EXPECT_THAT(Page(target), StartsWith("HTTP/1.1 404 ")) << target;
  }
}

class BusyConsoleTest : public ControlFixture {};

TEST_F(BusyConsoleTest, SendsMoreReadersAwayAndHealthIsStillAnswered) {
  std::mutex mutex;
  std::condition_variable changed;
  int waiting = 0;
  bool go_on = false;
  Console console(plane_->agents, plane_->service, plane_->current, directory_ + "/none",
                  plane_->clock, [&] {
                    std::unique_lock lock(mutex);
                    ++waiting;
                    changed.notify_all();
                    changed.wait(lock, [&] { return go_on; });
                    return absl::OkStatus();
                  });
  auto server = control::HttpServer::Start(
      *control::ListenAddress::Parse("127.0.0.1:0"), {}, [] { return absl::OkStatus(); },
      [&](std::string_view target) { return console.Page(target); });
  ASSERT_TRUE(server.ok()) << server.status();
  const int port = (*server)->port();
  std::vector<std::string> pages(Console::kAtOnce);
  std::vector<std::thread> readers;
  for (std::string& page : pages) readers.emplace_back([&page, port] { page = Get(port, "/"); });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return waiting == Console::kAtOnce; });
  }
  EXPECT_THAT(Get(port, "/"), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("ask again")));
  EXPECT_THAT(Get(port, "/healthz"), HasSubstr("ok\n"));
  {
    std::lock_guard lock(mutex);
    go_on = true;
    changed.notify_all();
  }
  for (std::thread& reader : readers) reader.join();
  for (const std::string& page : pages) EXPECT_THAT(page, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get(port, "/"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(BusyConsoleTest, ReadsNothingMoreWhenItIsToEnd) {
  Console console(plane_->agents, plane_->service, plane_->current, directory_ + "/config.db",
                  plane_->clock, [] { return absl::OkStatus(); });
  console.Shutdown();
  const Answer answer = console.Page("/logs");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("whence-control is stopping"));
}

}  // namespace
}  // namespace whence::console
