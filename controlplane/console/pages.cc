#include "controlplane/console/pages.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "controlplane/console/html.h"
#include "controlplane/ctl/cells.h"
#include "controlplane/ctl/log_line.h"
#include "controlplane/ctl/text.h"

namespace whence::console {

// Colours are the browser's own for light and dark, but for what is bad.
constexpr char kStyle[] = R"css(
:root { color-scheme: light dark; --bad: #b00020; --line: #8886; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1rem auto; max-width: 110rem; padding: 0 1rem; }
nav a { margin-right: 1rem; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.05rem; margin: 1.5rem 0 .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: .2rem .7rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: break-word; max-width: 30rem; }
.bad, .bad td { color: var(--bad); }
form label { display: inline-block; margin: 0 .8rem .5rem 0; }
input, select { font: inherit; display: block; width: 12rem; }
footer { margin-top: 2rem; border-top: 1px solid var(--line); padding-top: .4rem; }
)css";

const char kContentSecurityPolicy[] =
    "default-src 'none'; style-src 'sha256-V2gjoy79elDDGkOTpttio7/yh33nPYfrbrrd+MhPrL4='; "
    "form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'";

namespace {

// A refusal names every bad field.
constexpr size_t kMaxReason = 1000;
constexpr size_t kMaxReasons = 100;

std::string Seconds(int64_t time_us) { return ctl::TimeText(time_us).substr(0, 19) + "Z"; }

void Begin(Html& page, Markup title) {
  page.Add("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
      .Add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>")
      .Add(title)
      .Add(" - Whence</title>\n<style>")
      .Add(kStyle)
      .Add("</style>\n</head>\n<body>\n")
      .Add(
          "<nav><a href=\"/\">Overview</a><a href=\"/logs\">Logs</a><a href=\"/top\">Top</a></nav>")
      .Add("\n<h1>")
      .Add(title)
      .Add("</h1>\n");
}

std::string End(Html& page, int64_t now_us) {
  page.Add("<footer>whence-control " WHENCE_VERSION ", ").Text(Seconds(now_us));
  return page.Add(". Shows only; whencectl changes.</footer>\n</body>\n</html>\n").text();
}

void Note(Html& page, std::string_view text) {
  page.Add("<p>").Text(text, kMaxReason).Add("</p>\n");
}

void Fault(Html& page, const absl::Status& status) {
  page.Add("<p class=\"bad\" role=\"alert\">")
      .Text(ToStd(status.message()), kMaxReason)
      .Add("</p>\n");
}

// Those that need somebody first: a page shows only so many.
int Rank(const v1::AgentState& agent) {
  return !ctl::Refusals(agent).empty() ? 0 : agent.lag_us() > 0 ? 1 : 2;
}

void List(Html& page, Markup begin, const std::vector<std::string>& lines) {
  if (lines.empty()) return;
  page.Add(begin);
  for (size_t i = 0; i < std::min(lines.size(), kMaxReasons); ++i) {
    page.Add("<li>").Text(lines[i], kMaxReason).Add("</li>\n");
  }
  page.Add("</ul>\n");
}

void Agents(Html& page, const v1::ListAgentsResponse& response) {
  page.Add("<h2>Agents</h2>\n");
  std::vector<const v1::AgentState*> agents;
  for (const v1::AgentState& agent : response.agents()) agents.push_back(&agent);
  if (agents.empty()) return Note(page, "No agent is connected.");
  std::stable_sort(agents.begin(), agents.end(),
                   [](const auto* a, const auto* b) { return Rank(*a) < Rank(*b); });
  std::vector<Row> rows;
  std::vector<std::string> refusals, doubts;
  bool is_unproven = false;
  for (const v1::AgentState* agent : agents) {
    if (rows.size() == kMaxAgents) break;
    rows.push_back({ctl::AgentCells(*agent), Rank(*agent) == 0});
    for (std::string& line : ctl::Refusals(*agent)) refusals.push_back(std::move(line));
    for (std::string& line : ctl::Doubts(*agent)) doubts.push_back(std::move(line));
    is_unproven |= !agent->unproven_addresses().empty();
  }
  page.Table(ctl::AgentHeadings(), rows);
  if (agents.size() > kMaxAgents) {
    Note(page, absl::StrCat("And ", agents.size() - kMaxAgents, " more: whencectl agents."));
  }
  List(page, "<ul class=\"bad\">\n", refusals);
  List(page, "<ul>\n", doubts);
  if (is_unproven) Note(page, ctl::kUnprovenNote);
}

void History(Html& page, const absl::StatusOr<v1::HistoryResponse>& history) {
  page.Add("<h2>Newest changes</h2>\n");
  if (!history.ok()) return Fault(page, history.status());
  if (history->revisions().empty()) return Note(page, "Nothing was ever applied.");
  std::vector<Row> rows;
  for (const v1::RevisionInfo& revision : history->revisions()) {
    rows.push_back({ctl::HistoryCells(revision)});
  }
  page.Table(ctl::HistoryHeadings(), rows);
}

std::string ValueOf(const Params& params, std::string_view name) {
  const auto found = params.find(std::string(name));
  return found == params.end() ? "" : found->second;
}

struct Field {
  Markup name, label, hint;
};

constexpr Field kFirst[] = {{"client", "Client", "2.2.2.0/24"},
                            {"workload", "Workload", "namespace/name"},
                            {"since", "Since", "10m, or a time"}};
constexpr Field kMore[] = {
    {"peer", "Direct peer", "10.0.0.0/8"}, {"policy", "Policy", "namespace/name"},
    {"status", "Status", "503"},           {"method", "Method", "GET"},
    {"host", "Host", "shop.example"},      {"path", "Path begins", "/cart"},
    {"request-id", "Request id", ""},      {"until", "Until", "5m, or a time"},
    {"id", "Record", "its number"}};

// True: it has a value.
bool Input(Html& page, const Field& field, const Params& params) {
  const std::string value = ValueOf(params, field.name.text());
  page.Add("<label>").Add(field.label).Add("<input name=\"").Add(field.name);
  page.Add("\" placeholder=\"").Add(field.hint).Add("\" value=\"").Value(value);
  page.Add("\"></label>\n");
  return !value.empty();
}

void Form(Html& page, const Params& params) {
  page.Add("<form action=\"/logs\" method=\"get\">\n");
  for (const Field& field : kFirst) Input(page, field, params);
  page.Add("<label>Decision<select name=\"decision\"><option value=\"\">any</option>");
  for (const Markup decision : {Markup("allow"), Markup("deny"), Markup("dry-run-deny")}) {
    const bool is_chosen = ValueOf(params, "decision") == decision.text();
    page.Add(is_chosen ? Markup("<option selected>") : Markup("<option>"));
    page.Add(decision).Add("</option>");
  }
  page.Add("</select></label>\n");
  Html more;
  bool is_used = false;
  for (const Field& field : kMore) is_used |= Input(more, field, params);
  page.Add(is_used ? Markup("<details open>") : Markup("<details>"));
  page.Add("<summary>More filters</summary>\n").Add(more).Add("</details>\n");
  page.Add("<p><button>Show</button></p>\n</form>\n");
}

void Counts(Html& page, Markup title, v1::TopQuery::By by,
            const absl::StatusOr<v1::TopResponse>& response) {
  page.Add("<h2>").Add(title).Add("</h2>\n");
  if (!response.ok()) return Fault(page, response.status());
  if (response->rows().empty()) return Note(page, "None in that time.");
  std::vector<Row> rows;
  for (const v1::TopRow& row : response->rows()) rows.push_back({ctl::TopCells(by, row)});
  page.Table(ctl::TopHeadings(by), rows);
  if (response->others() > 0) Note(page, ctl::OthersNote(*response));
}

}  // namespace

std::string OverviewPage(const Overview& overview) {
  Html page;
  Begin(page, "Overview");
  if (!overview.health.ok()) Fault(page, overview.health);
  std::vector<Row> facts = {{{"Revision in force", std::to_string(overview.revision)}}};
  std::string kinds;
  for (const auto& [kind, count] : overview.documents) {
    absl::StrAppend(&kinds, kinds.empty() ? "" : ", ", count, " ", kind);
  }
  facts.push_back({{"Documents", kinds.empty() ? "none" : kinds}});
  facts.push_back({{"Agents connected", std::to_string(overview.agents.agents_size())}});
  facts.push_back(
      {{"Access records stored", overview.records.ok()
                                     ? std::to_string(*overview.records)
                                     : std::string(ToStd(overview.records.status().message()))}});
  page.Table({"WHAT", "NOW"}, facts);
  Agents(page, overview.agents);
  History(page, overview.history);
  return End(page, overview.now_us);
}

std::string LogsPage(const Logs& logs) {
  Html page;
  Begin(page, "Logs");
  Form(page, logs.params);
  if (!logs.rows.ok()) {
    Fault(page, logs.rows.status());
    return End(page, logs.now_us);
  }
  if (logs.rows->empty()) Note(page, "No record fits.");
  std::vector<Row> rows;
  for (const v1::LogRow& row : *logs.rows) {
    rows.push_back({ctl::LogCells(row), row.record().decision() == v1::DENY_DECISION});
  }
  if (!rows.empty()) page.Table(ctl::LogHeadings(), rows);
  if (rows.size() == kMaxRecords) {
    Params older = logs.params;
    older["before"] = std::to_string(logs.rows->back().id());
    page.Add("<p><a href=\"/logs?").Value(WriteParams(older)).Add("\">Older records</a></p>\n");
  }
  return End(page, logs.now_us);
}

std::string TopPage(const Top& top) {
  Html page;
  Begin(page, "Top");
  page.Add("<form action=\"/top\" method=\"get\">\n");
  Input(page, {"since", "Since", "10m, 2h, 1d"}, {{"since", top.since}});
  page.Add("<p><button>Count</button></p>\n</form>\n");
  if (!top.fault.ok()) {
    Fault(page, top.fault);
    return End(page, top.now_us);
  }
  Counts(page, "Clients", v1::TopQuery::CLIENTS, top.clients);
  Counts(page, "Workloads", v1::TopQuery::WORKLOADS, top.workloads);
  Counts(page, "Denied", v1::TopQuery::DENIED, top.denied);
  return End(page, top.now_us);
}

}  // namespace whence::console
