// What the console's pages say, and that nothing in them speaks but we.
#include "controlplane/console/pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "controlplane/console/html.h"

namespace whence::console {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(EscapeHtmlTest, LeavesNothingThatMarkupBeginsOrEndsWith) {
  struct Case {
    std::string_view name, input, want;
  };
  const Case cases[] = {
      {"plain", "shop/web-1 10.0.0.1", "shop/web-1 10.0.0.1"},
      {"tag", "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
      {"out of an attribute", "\" onfocus=\"x", "&quot; onfocus=&quot;x"},
      {"out of a single-quoted one", "' onfocus='x", "&#39; onfocus=&#39;x"},
      {"a reference stays text", "&lt;b&gt;", "&amp;lt;b&amp;gt;"},
      {"comment", "--><!--", "--&gt;&lt;!--"},
      {"null inside a tag", std::string_view("<scr\0ipt>", 9), "&lt;scr\xef\xbf\xbdipt&gt;"},
      {"line ends", "a\r\nb",
       "a\xef\xbf\xbd\xef\xbf\xbd"
       "b"},
      {"overlong <", "\xc0\xbcscript>", "\xef\xbf\xbd\xef\xbf\xbdscript&gt;"},
      {"half a character before a quote", "\xe2\x82\"", "\xef\xbf\xbd\xef\xbf\xbd&quot;"},
      {"other scripts", "h\xc3\xa9llo \xe4\xb8\xad", "h\xc3\xa9llo \xe4\xb8\xad"},
  };
  for (const Case& c : cases) EXPECT_EQ(EscapeHtml(c.input), c.want) << c.name;
}

TEST(HtmlTest, ShowsWhatABrowserWouldHideOrReorder) {
  EXPECT_EQ(Html()
                .Text("a\xe2\x80\xae"
                      "b\x1b[2J")
                .text(),
            "a\\u202eb\\x1b[2J");
}

TEST(HtmlTest, CutsLongTextAndNeverInsideAReference) {
  const std::string text = Html().Text(std::string(500, '<')).text();
  EXPECT_EQ(text.size(), (Html::kMaxCells - 1) * 4 + 3);
  EXPECT_EQ(text.substr(text.size() - 7), "&lt;\xe2\x80\xa6");
}

constexpr char kAttack[] = "\"'><script>alert(1)</script>";

// Ours only: a page that shows the attack as text has none that it brought.
void ExpectInert(const std::string& page) {
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr(kAttack)));
}

v1::AgentState Agent(const std::string& name) {
  v1::AgentState agent;
  agent.set_namespace_("shop");
  agent.set_name(name);
  agent.set_role(v1::SIDECAR);
  agent.add_addresses("10.32.1.205");
  agent.set_acked_revision(7);
  agent.set_sent_revision(7);
  return agent;
}

TEST(OverviewPageTest, SaysThatThereIsNothingYet) {
  const std::string page = OverviewPage({});
  EXPECT_THAT(page, HasSubstr("<td>Revision in force</td><td>0</td>"));
  EXPECT_THAT(page, HasSubstr("<td>Documents</td><td>none</td>"));
  EXPECT_THAT(page, HasSubstr("No agent is connected."));
  EXPECT_THAT(page, HasSubstr("Nothing was ever applied."));
  EXPECT_THAT(page, HasSubstr("<td>Access records stored</td><td>0</td>"));
  EXPECT_THAT(page, HasSubstr("whence-control " WHENCE_VERSION ", 1970-01-01T00:00:00Z"));
}

TEST(OverviewPageTest, ShowsRevisionsDocumentsAndHowFarAgentsAre) {
  Overview overview{.revision = 7, .documents = {{"IpPolicy", 2}, {"TrustTopology", 1}}};
  *overview.agents.add_agents() = Agent("web");
  overview.agents.mutable_agents(0)->set_lag_us(1'500'000);
  overview.records = 42u;
  v1::RevisionInfo& revision = *overview.history->add_revisions();
  revision.set_revision(7);
  revision.set_author("ana");
  revision.set_message("one proxy less");
  const std::string page = OverviewPage(overview);
  EXPECT_THAT(page, HasSubstr("<td>2 IpPolicy, 1 TrustTopology</td>"));
  EXPECT_THAT(page, HasSubstr("<td>shop/web</td><td>sidecar</td><td>10.32.1.205</td>"));
  EXPECT_THAT(page, HasSubstr("<td>7</td><td>7</td><td>waiting</td><td>1.5s</td>"));
  EXPECT_THAT(page, HasSubstr("<td>ana (unverified)</td><td>one proxy less</td>"));
  EXPECT_THAT(page, HasSubstr("<td>42</td>"));
}

TEST(OverviewPageTest, ShowsARefusingAgentFirstAndWhy) {
  Overview overview;
  *overview.agents.add_agents() = Agent("fine");
  *overview.agents.add_agents() = Agent("refuser");
  v1::ResourceState& state = *overview.agents.mutable_agents(1)->add_resources();
  state.set_type("WorkloadBundle");
  state.set_name("shop/refuser");
  state.set_acked_version("v1");
  state.set_refused_version("v2");
  state.set_error("rules[3]: prefix length must be 0..32");
  const std::string page = OverviewPage(overview);
  EXPECT_LT(page.find("<tr class=\"bad\"><td>shop/refuser</td>"), page.find("<td>shop/fine</td>"));
  EXPECT_THAT(page, HasSubstr("<td>refused</td>"));
  EXPECT_THAT(page, HasSubstr("<li>shop/refuser refused WorkloadBundle shop/refuser version v2 and "
                              "runs v1: rules[3]: prefix length must be 0..32</li>"));
}

TEST(OverviewPageTest, ShowsARefusalAmongMoreAgentsThanItLists) {
  Overview overview;
  for (size_t i = 0; i < kMaxAgents + 3; ++i) *overview.agents.add_agents() = Agent("a");
  v1::ResourceState& state = *overview.agents.mutable_agents(kMaxAgents + 2)->add_resources();
  state.set_refused_version("v2");
  const std::string page = OverviewPage(overview);
  EXPECT_THAT(page, HasSubstr("And 3 more: whencectl agents."));
  EXPECT_THAT(page, HasSubstr("<td>refused</td>"));
}

TEST(OverviewPageTest, SaysWhatItCannotHaveAndShowsTheRest) {
  Overview overview{.health = absl::UnavailableError("etcd does not answer"), .revision = 3};
  overview.history = absl::UnavailableError("no history <now>");
  overview.records = absl::InternalError("logs.db: cannot open");
  const std::string page = OverviewPage(overview);
  EXPECT_THAT(page, HasSubstr("role=\"alert\">etcd does not answer<"));
  EXPECT_THAT(page, HasSubstr("no history &lt;now&gt;"));
  EXPECT_THAT(page, HasSubstr("<td>logs.db: cannot open</td>"));
  EXPECT_THAT(page, HasSubstr("<td>3</td>"));
}

TEST(OverviewPageTest, TakesNoMarkupFromAgentsAndAuthors) {
  Overview overview;
  v1::AgentState agent = Agent(kAttack);
  agent.set_node(kAttack);
  agent.set_version(kAttack);
  agent.add_caveats(kAttack);
  agent.add_resources()->set_refused_version(kAttack);
  agent.mutable_resources(0)->set_error(kAttack);
  *overview.agents.add_agents() = agent;
  v1::RevisionInfo& revision = *overview.history->add_revisions();
  revision.set_author(kAttack);
  revision.set_message(kAttack);
  revision.add_changes()->set_name(kAttack);
  overview.documents[kAttack] = 1;
  ExpectInert(OverviewPage(overview));
}

v1::LogRow Record(int64_t id) {
  v1::LogRow row;
  row.set_id(id);
  row.set_namespace_("shop");
  row.set_workload("web");
  v1::AccessRecord& record = *row.mutable_record();
  record.set_time_us(1'700'000'000'000'000);
  record.set_client_address(std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x02\x02\x02\x02", 16));
  record.set_method("GET");
  record.set_path("/cart");
  record.set_status(403);
  record.set_decision(v1::DENY_DECISION);
  return row;
}

TEST(LogsPageTest, ShowsRecordsAndKeepsWhatWasAsked) {
  Logs logs{.params = {{"client", "2.2.2.0/24"}, {"decision", "deny"}}};
  logs.rows->push_back(Record(5));
  const std::string page = LogsPage(logs);
  EXPECT_THAT(page,
              HasSubstr("<tr class=\"bad\"><td>2023-11-14T22:13:20.000Z</td><td>2.2.2.2</td>"));
  EXPECT_THAT(page, HasSubstr("name=\"client\" placeholder=\"2.2.2.0/24\" value=\"2.2.2.0/24\""));
  EXPECT_THAT(page, HasSubstr("<option selected>deny</option>"));
  EXPECT_THAT(page, HasSubstr("<details>"));
  EXPECT_THAT(page, Not(HasSubstr("Older records")));
}

TEST(LogsPageTest, OpensTheFiltersThatAreInUse) {
  EXPECT_THAT(LogsPage({.params = {{"peer", "10.0.0.1"}}}), HasSubstr("<details open>"));
}

TEST(LogsPageTest, LinksThePageBeforeAFullOne) {
  Logs logs{.params = {{"path", "/a&b"}, {"before", "999"}}};
  for (int i = 0; i < kMaxRecords; ++i) logs.rows->push_back(Record(500 - i));
  EXPECT_THAT(LogsPage(logs), HasSubstr("<a href=\"/logs?before=401&amp;path=/a%26b\">"));
}

TEST(LogsPageTest, SaysWhatIsWrongAndThatNothingFits) {
  EXPECT_THAT(LogsPage({.rows = absl::InvalidArgumentError("client \"<x>\": give a CIDR")}),
              HasSubstr("role=\"alert\">client &quot;&lt;x&gt;&quot;: give a CIDR</p>"));
  EXPECT_THAT(LogsPage({}), HasSubstr("No record fits."));
}

TEST(LogsPageTest, TakesNoMarkupFromClientsAndFilters) {
  Logs logs;
  for (const std::string_view name : kLogParams) logs.params[std::string(name)] = kAttack;
  v1::LogRow row = Record(1);
  row.set_workload(kAttack);
  v1::AccessRecord& record = *row.mutable_record();
  record.set_client_reason(kAttack);
  record.set_method(kAttack);
  record.set_host(kAttack);
  record.set_path(kAttack);
  record.set_policy(kAttack);
  logs.rows->assign(kMaxRecords, row);
  v1::LogRow gap;
  gap.set_agent(kAttack);
  gap.mutable_record()->set_dropped(3);
  logs.rows->at(0) = gap;
  ExpectInert(LogsPage(logs));
}

TEST(TopPageTest, ShowsTheThreeAndWhatIsWrongInstead) {
  Top top{.since = "1h"};
  v1::TopRow& row = *top.workloads->add_rows();
  row.set_workload(kAttack);
  row.set_accesses(12);
  top.denied = absl::DeadlineExceededError("counting takes too long: ask for a shorter time");
  const std::string page = TopPage(top);
  ExpectInert(page);
  EXPECT_THAT(page, HasSubstr("<td>12</td>"));
  EXPECT_THAT(page, HasSubstr("None in that time."));
  EXPECT_THAT(page, HasSubstr("counting takes too long"));
  EXPECT_THAT(TopPage({.since = kAttack, .fault = absl::InvalidArgumentError("no")}),
              AllOf(HasSubstr("value=\"&quot;&#39;&gt;&lt;script"), Not(HasSubstr("Workloads"))));
}

TEST(PagesTest, NeedNothingThatThePolicyForbids) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  const std::string style = kStyle;
  SHA256(reinterpret_cast<const unsigned char*>(style.data()), style.size(), digest);
  const std::string want =
      "style-src 'sha256-" +
      absl::Base64Escape(absl::string_view(reinterpret_cast<char*>(digest), sizeof digest)) + "';";
  EXPECT_THAT(kContentSecurityPolicy, HasSubstr(want));
  for (const std::string& page : {OverviewPage({}), LogsPage({}), TopPage({})}) {
    EXPECT_THAT(page, HasSubstr("<style>" + style + "</style>"));
    EXPECT_THAT(page, Not(ContainsRegex("style=|<script|<img|<link|src=|https?:| on[a-z]+=")));
  }
}

}  // namespace
}  // namespace whence::console
