// Interception in real namespaces: a client and a pod, with the echo server as the application and,
// where an agent is needed, a transparent listener that stands in for it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "dataplane/intercept/check.h"
#include "dataplane/intercept/installer.h"
#include "dataplane/intercept/linux_kernel.h"
#include "dataplane/intercept/netns.h"
#include "dataplane/os/socket.h"
#include "tests/lab/http.h"
#include "tests/lab/lab.h"
#include "tests/lab/programs.h"

namespace whence::intercept {
namespace {

using lab::HttpConnection;

constexpr char kPod4[] = "10.32.1.205";
constexpr char kPod6[] = "fd00:10:32:1::205";
constexpr char kClient4[] = "10.32.1.1";
constexpr uint16_t kAppPort = 8080;
// A dropped SYN shows as silence; the kernel would send it again after a second, and neither must
// get through.
constexpr std::chrono::milliseconds kSilence{1500};

class NamespaceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = lab::Lab::Create(lab::Lab::UniqueName("intercept"));
    ASSERT_TRUE(made.ok()) << made.status();
    lab_ = *std::move(made);
    ASSERT_EQ(Pod().Create(false), absl::OkStatus());
    ASSERT_EQ(Client().Create(false), absl::OkStatus());
    ASSERT_EQ(lab::ConnectByVeth(Pod(), "eth0", Client(), "eth0"), absl::OkStatus());
    ASSERT_EQ(Pod().Ip("address add 10.32.1.205/24 dev eth0\n"
                       "address add fd00:10:32:1::205/64 dev eth0 nodad\nlink set eth0 up\n"),
              absl::OkStatus());
    ASSERT_EQ(Client().Ip("address add 10.32.1.1/24 dev eth0\n"
                          "address add fd00:10:32:1::1/64 dev eth0 nodad\nlink set eth0 up\n"),
              absl::OkStatus());
  }

  lab::Namespace Pod() const { return lab_->Space("pod"); }
  lab::Namespace Client() const { return lab_->Space("client"); }

  void StartApplication() {
    auto echo = lab::Process::Start(
        {.command = {lab::ProgramPath("whence-echo"), "--http", std::to_string(kAppPort)},
         .netns = Pod().path(),
         .output = lab_->directory() + "/echo"});
    ASSERT_TRUE(echo.ok()) << echo.status();
    application_ = *std::move(echo);
    ASSERT_TRUE(
        lab::WaitUntil([&] { return application_->Output().find("ready") != std::string::npos; }));
  }

  // As the agent listens: transparent, and with a mark of its own. Without one, what it accepts
  // would inherit the packet's mark (tcp_fwmark_accept) and its answers would go to lo.
  int ListenAsAgent(const char* address = "0.0.0.0") {
    auto fd = Pod().Listen(address, 15006);
    EXPECT_TRUE(fd.ok()) << fd.status();
    const int on = 1;
    const int mark = 0x53b;
    EXPECT_EQ(setsockopt(*fd, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
    EXPECT_EQ(setsockopt(*fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
    return *fd;
  }

  absl::StatusOr<InstallResult> InstallHere(const Intent& intent) {
    auto scope = ScopedNetns::Enter(Pod().name());
    if (!scope.ok()) return scope.status();
    return Install(kernel_, intent);
  }
  absl::StatusOr<bool> RemoveHere() {
    auto scope = ScopedNetns::Enter(Pod().name());
    if (!scope.ok()) return scope.status();
    return Remove(kernel_);
  }
  CheckResult CheckHere() {
    auto scope = ScopedNetns::Enter(Pod().name());
    EXPECT_TRUE(scope.ok());
    return Check(kernel_);
  }

  // As the agent connects to the application, from the client's address. 0 or errno.
  int ConnectAsClient(uint16_t port) {
    auto scope = ScopedNetns::Enter(Pod().name());
    EXPECT_TRUE(scope.ok());
    const os::UniqueFd fd(socket(AF_INET, SOCK_STREAM, 0));
    EXPECT_EQ(os::SetTransparent(fd.get(), /*v4=*/true), 0);
    EXPECT_EQ(os::SetMark(fd.get(), 0x53a), 0);
    EXPECT_EQ(os::Bind(fd.get(), {*net::IpAddress::Parse(kClient4), port}), 0);
    return os::Connect(fd.get(), {*net::IpAddress::Parse(kPod4), kAppPort});
  }

  // Everything that an installation may touch.
  std::string Snapshot() const {
    std::string all;
    for (const std::vector<std::string>& command :
         std::vector<std::vector<std::string>>{{"nft", "list", "ruleset"},
                                               {"ip", "rule"},
                                               {"ip", "-6", "rule"},
                                               {"ip", "route", "show", "table", "133"},
                                               {"ip", "-6", "route", "show", "table", "133"},
                                               {"ip", "route", "show", "table", "local"},
                                               {"ip", "-6", "route", "show", "table", "local"},
                                               {"ip", "address"},
                                               {"sysctl", "-a", "--pattern", "fwmark|rp_filter"}}) {
      all += "--- " + command[0] + " " + command[1] + "\n" + Pod().Run(command).out;
    }
    return all;
  }

  // The source port that `fd` was connected from.
  static uint16_t PeerPort(int fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    EXPECT_EQ(getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size), 0);
    return ntohs(peer.sin_port);
  }

  absl::StatusCode TryApplication(const char* address, uint16_t local_port = 0) {
    auto answer = HttpConnection::Open(Client(), address, kAppPort, kSilence, local_port);
    return answer.status().code();
  }

  std::unique_ptr<lab::Lab> lab_;
  std::optional<lab::Process> application_;
  LinuxKernel kernel_;
};

TEST_F(NamespaceTest, InstallingTwiceEqualsOnceAndRemovingRestores) {
  const std::string before = Snapshot();
  for (const Mode mode : {Mode::kTproxy, Mode::kRedirect, Mode::kNode}) {
    const Intent intent = {.mode = mode, .include_ports = {8080, 443}, .exclude_ports = {22}};
    auto installed = InstallHere(intent);
    ASSERT_TRUE(installed.ok()) << installed.status();
    EXPECT_TRUE(installed->changed);
    const std::string once = Snapshot();
    EXPECT_NE(once, before);
    installed = InstallHere(intent);
    ASSERT_TRUE(installed.ok()) << installed.status();
    EXPECT_FALSE(installed->changed);
    EXPECT_EQ(Snapshot(), once);
    auto removed = RemoveHere();
    ASSERT_TRUE(removed.ok()) << removed.status();
    EXPECT_TRUE(*removed);
    EXPECT_EQ(Snapshot(), before);
    EXPECT_FALSE(RemoveHere().value_or(true));
  }
}

TEST_F(NamespaceTest, AChangedIntentLeavesNothingOfTheOldOne) {
  ASSERT_EQ(Pod().Sysctl("net.ipv4.fwmark_reflect", "1"), absl::OkStatus());
  ASSERT_EQ(Pod().Sysctl("net.ipv4.conf.all.rp_filter", "1"), absl::OkStatus());
  const std::string before = Snapshot();
  ASSERT_TRUE(InstallHere({.packet_mark = 0x111, .upstream_mark = 0x112, .table = 77}).ok());
  ASSERT_TRUE(InstallHere({.mode = Mode::kRedirect}).ok());
  ASSERT_TRUE(InstallHere({}).ok());
  const std::string changed = Snapshot();
  EXPECT_EQ(changed.find("lookup 77"), std::string::npos);
  ASSERT_TRUE(RemoveHere().ok());
  EXPECT_EQ(Snapshot(), before);
  EXPECT_EQ(Pod().Run({"ip", "route", "show", "table", "77"}).out, "");
}

TEST_F(NamespaceTest, RefusesWhatSomeoneElseUsesAndChangesNothing) {
  ASSERT_EQ(
      Pod().Ip("rule add fwmark 0x500/0xff00 lookup 7\nroute add blackhole default table 133\n"),
      absl::OkStatus());
  const std::string before = Snapshot();
  const auto installed = InstallHere({});
  ASSERT_EQ(installed.status().code(), absl::StatusCode::kFailedPrecondition);
  const std::string message(installed.status().message());
  EXPECT_NE(message.find("matches our mark 0x539 (fwmark 0x500/0xff00 lookup 7)"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("routing table 133 has a route of someone else"), std::string::npos)
      << message;
  EXPECT_EQ(Snapshot(), before);
  EXPECT_FALSE(CheckHere().sound());
  // Settings of one's own get out of the way.
  EXPECT_TRUE(InstallHere({.packet_mark = 0x111, .upstream_mark = 0x112, .table = 77}).ok());
}

TEST_F(NamespaceTest, NoListenerMeansNoConnection) {
  StartApplication();
  ASSERT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  ASSERT_TRUE(InstallHere({}).ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(TryApplication(kPod6), absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(Pod().Run({"nft", "list", "table", "inet", "whence"}).out.find("packets"),
            std::string::npos);
  const CheckResult check = CheckHere();
  EXPECT_FALSE(check.sound());
  EXPECT_NE(check.findings.back().what.find("nobody listens on port 15006"), std::string::npos);
  ASSERT_TRUE(RemoveHere().ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  ASSERT_TRUE(InstallHere({.mode = Mode::kRedirect}).ok());
  // Redirected to a port where nobody listens: refused at once.
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kUnavailable);
  EXPECT_EQ(TryApplication(kPod6), absl::StatusCode::kUnavailable);
}

TEST_F(NamespaceTest, BypassMeansTheApplicationIsReachedWithoutAnAgent) {
  StartApplication();
  ASSERT_TRUE(InstallHere({.on_exit = OnExit::kBypass}).ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  EXPECT_EQ(TryApplication(kPod6), absl::StatusCode::kOk);
}

TEST_F(NamespaceTest, ExcludedAndNotIncludedPortsAreLeftAlone) {
  StartApplication();
  ASSERT_TRUE(InstallHere({.exclude_ports = {kAppPort}}).ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  ASSERT_TRUE(InstallHere({.include_ports = {443}}).ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  ASSERT_TRUE(InstallHere({.include_ports = {kAppPort}}).ok());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kDeadlineExceeded);
}

// The application stands where kube-proxy would take over.
TEST_F(NamespaceTest, ANodePortIsTheAgentsWhileItListensAndElseAsIfThereWereNone) {
  StartApplication();
  auto before = HttpConnection::Open(Client(), kPod4, kAppPort);
  ASSERT_TRUE(before.ok());
  ASSERT_TRUE(
      InstallHere({.mode = Mode::kNode, .on_exit = OnExit::kBypass, .include_ports = {kAppPort}})
          .ok());
  EXPECT_TRUE(CheckHere().sound());
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kOk);
  ASSERT_EQ(before->Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), absl::OkStatus());
  EXPECT_EQ(before->ReadLine().value_or("nothing"), "HTTP/1.1 200 OK\r\n");

  const int on = 1;
  auto agent = Pod().Listen("127.0.0.1", kAppPort);
  ASSERT_FALSE(agent.ok()) << "the application holds the port on every address";
  application_->Stop();
  agent = Pod().Listen("127.0.0.1", kAppPort);
  ASSERT_TRUE(agent.ok()) << agent.status();
  // Not transparent: somebody else's, and left alone.
  EXPECT_EQ(TryApplication(kPod4), absl::StatusCode::kUnavailable);
  ASSERT_EQ(setsockopt(*agent, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
  auto connection = HttpConnection::Open(Client(), kPod4, kAppPort);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const int accepted = accept(*agent, nullptr, nullptr);
  ASSERT_GE(accepted, 0);
  sockaddr_in local{};
  socklen_t size = sizeof(local);
  ASSERT_EQ(getsockname(accepted, reinterpret_cast<sockaddr*>(&local), &size), 0);
  char text[INET_ADDRSTRLEN];
  EXPECT_STREQ(inet_ntop(AF_INET, &local.sin_addr, text, sizeof(text)), kPod4);
  // Without a listener what is open goes on.
  close(*agent);
  ASSERT_EQ(write(accepted, "hello\n", 6), 6);
  EXPECT_EQ(connection->ReadLine().value_or("nothing"), "hello\n");
  close(accepted);
}

TEST_F(NamespaceTest, RepliesToTheApplicationsOwnConnectionsPass) {
  ASSERT_TRUE(InstallHere({}).ok());
  auto server = Client().Listen("0.0.0.0", 9000);
  ASSERT_TRUE(server.ok());
  auto connection = HttpConnection::Open(Pod(), kClient4, 9000);
  ASSERT_TRUE(connection.ok()) << connection.status();
  const int accepted = accept(*server, nullptr, nullptr);
  ASSERT_GE(accepted, 0);
  ASSERT_EQ(write(accepted, "hello\n", 6), 6);
  EXPECT_EQ(connection->ReadLine().value_or("nothing"), "hello\n");
  close(accepted);
  close(*server);
}

TEST_F(NamespaceTest, TheListenerGetsConnectionsToEveryPort) {
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent("::");
  EXPECT_TRUE(CheckHere().sound());
  for (const char* address : {kPod4, kPod6}) {
    auto connection = HttpConnection::Open(Client(), address, kAppPort);
    ASSERT_TRUE(connection.ok()) << connection.status();
    const int accepted = accept(agent, nullptr, nullptr);
    ASSERT_GE(accepted, 0);
    sockaddr_in6 local{};
    socklen_t size = sizeof(local);
    ASSERT_EQ(getsockname(accepted, reinterpret_cast<sockaddr*>(&local), &size), 0);
    EXPECT_EQ(ntohs(local.sin6_port), kAppPort);  // the original destination
    close(accepted);
  }
  close(agent);
}

// As pods with several interfaces have it: what leaves from an address takes the way of its
// network.
TEST_F(NamespaceTest, TheAgentsAnswersFollowThePodsOwnRules) {
  ASSERT_EQ(Pod().Ip("rule add pref 1000 from 10.32.1.205 lookup 7\n"
                     "route add 10.32.1.0/24 dev eth0 table 7\n"
                     "route del 10.32.1.0/24 dev eth0\nroute add blackhole 10.32.1.0/24\n"
                     "route add fd00:10:32:1::/64 dev eth0 table 7\n"
                     "route del fd00:10:32:1::/64 dev eth0\n"
                     "route add blackhole fd00:10:32:1::/64\n"),
            absl::OkStatus());
  ASSERT_TRUE(
      Pod().Run({"ip", "-6", "rule", "add", "pref", "1000", "from", kPod6, "lookup", "7"}).ok());
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent("::");
  for (const char* address : {kPod4, kPod6}) {
    auto connection = HttpConnection::Open(Client(), address, kAppPort, kSilence);
    EXPECT_TRUE(connection.ok()) << connection.status();
  }
  close(agent);
}

TEST_F(NamespaceTest, CheckTellsAListenerThatCannotWork) {
  ASSERT_TRUE(InstallHere({}).ok());
  auto listener = Pod().Listen("::", 15006);
  ASSERT_TRUE(listener.ok());
  EXPECT_FALSE(CheckHere().sound());
  EXPECT_EQ(CheckHere().findings.back().what, "the listener on port 15006 is not transparent");
  const int on = 1;
  ASSERT_EQ(setsockopt(*listener, SOL_IP, IP_TRANSPARENT, &on, sizeof(on)), 0);
  EXPECT_FALSE(CheckHere().sound());
  EXPECT_EQ(CheckHere().findings.back().what,
            "the listener on port 15006 has no mark of its own, so its answers go to lo");
  close(*listener);
}

TEST_F(NamespaceTest, CheckNamesWhatWasTakenAway) {
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent("::");
  ASSERT_TRUE(CheckHere().sound());
  ASSERT_EQ(Pod().Ip("rule del pref 133 fwmark 0x53a\n"), absl::OkStatus());
  ASSERT_TRUE(Pod().Run({"ip", "-6", "route", "flush", "table", "133"}).ok());
  ASSERT_EQ(Pod().Sysctl("net.ipv4.tcp_fwmark_accept", "0"), absl::OkStatus());
  ASSERT_EQ(Pod().Nft("flush chain inet whence prerouting\n"), absl::OkStatus());
  std::string faults;
  for (const Finding& finding : CheckHere().findings) {
    if (finding.level == Finding::Level::kFault) faults += finding.what + "\n";
  }
  EXPECT_EQ(faults,
            "nftables: table inet whence was changed by someone else\n"
            "sysctl net.ipv4.tcp_fwmark_accept is 0\n"
            "missing: ip -6 route add local default dev lo table 133\n"
            "missing: ip rule add pref 133 fwmark 0x53a lookup 133\n");
  ASSERT_TRUE(InstallHere({}).ok());
  EXPECT_TRUE(CheckHere().sound());
  close(agent);
}

// With SYN cookies nothing is kept of a handshake, so that what ends it belongs to no socket: it
// must not be the application's listener that takes it.
TEST_F(NamespaceTest, AHandshakeByCookieIsTheAgents) {
  StartApplication();
  ASSERT_EQ(Pod().Sysctl("net.ipv4.tcp_syncookies", "2"), absl::OkStatus());
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent();
  auto connection = HttpConnection::Open(Client(), kPod4, kAppPort);
  ASSERT_TRUE(connection.ok()) << connection.status();
  pollfd polled{agent, POLLIN, 0};
  ASSERT_EQ(poll(&polled, 1, 5000), 1) << "the connection went past the agent";
  close(agent);
}

// The agent, as a client, takes a port by which the client itself is connected already, which it
// does not know as long as it has not accepted. Neither may break the other.
TEST_F(NamespaceTest, TheAgentIsToldOfAConnectionThatItWouldMeet) {
  StartApplication();
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent();
  auto connection = HttpConnection::Open(Client(), kPod4, kAppPort, lab::kPatience, 20'000);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ(ConnectAsClient(20'000), ECONNREFUSED);
  EXPECT_EQ(ConnectAsClient(20'001), 0);

  const int accepted = accept(agent, nullptr, nullptr);
  ASSERT_GE(accepted, 0);
  EXPECT_EQ(ConnectAsClient(20'000), ECONNREFUSED);
  ASSERT_EQ(write(accepted, "hello\n", 6), 6);
  EXPECT_EQ(connection->ReadLine().value_or("nothing"), "hello\n");
  close(accepted);
  close(agent);
}

// What comes from outside with the four numbers of the agent's own connection to the application
// would be read there without anyone having judged it.
TEST_F(NamespaceTest, NobodyWritesIntoTheAgentsConnection) {
  StartApplication();
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent();
  auto scope = ScopedNetns::Enter(Pod().name());
  ASSERT_TRUE(scope.ok());
  const os::UniqueFd own(socket(AF_INET, SOCK_STREAM, 0));
  ASSERT_EQ(os::SetTransparent(own.get(), /*v4=*/true), 0);
  ASSERT_EQ(os::SetMark(own.get(), 0x53a), 0);
  ASSERT_EQ(os::Bind(own.get(), {*net::IpAddress::Parse(kClient4), 20'000}), 0);
  ASSERT_EQ(os::Connect(own.get(), {*net::IpAddress::Parse(kPod4), kAppPort}), 0);

  // A connection without a handshake (tcp_repair), for what it sends.
  auto outside = ScopedNetns::Enter(Client().name());
  ASSERT_TRUE(outside.ok());
  const os::UniqueFd forged(socket(AF_INET, SOCK_STREAM, 0));
  const int on = 1, off = 0;
  ASSERT_EQ(setsockopt(forged.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)), 0);
  ASSERT_EQ(os::Bind(forged.get(), {*net::IpAddress::Parse(kClient4), 20'000}), 0);
  ASSERT_EQ(os::Connect(forged.get(), {*net::IpAddress::Parse(kPod4), kAppPort}), 0);
  ASSERT_EQ(setsockopt(forged.get(), IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)), 0);
  ASSERT_EQ(send(forged.get(), "x", 1, 0), 1);
  EXPECT_TRUE(lab::WaitUntil([&] {
    const std::string rules = Pod().Run({"nft", "list", "table", "inet", "whence"}).out;
    const std::vector<std::string> lines = absl::StrSplit(rules, '\n');
    return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
      return absl::StrContains(line, "socket mark 0x0000053a") && absl::EndsWith(line, " drop") &&
             !absl::StrContains(line, "packets 0 ");
    });
  }));
  close(agent);
}

// A connection that the agent closed first leaves a TIME_WAIT socket in the pod. A client that
// takes the same port again must meet the agent, and when there is none any more, nobody: never the
// application.
class TimeWaitTest : public NamespaceTest {
 protected:
  // Gives the client's port of a connection whose agent side is now in TIME_WAIT.
  uint16_t LeaveTimeWait(int agent) {
    auto connection = HttpConnection::Open(Client(), kPod4, kAppPort);
    EXPECT_TRUE(connection.ok()) << connection.status();
    if (!connection.ok()) return 0;
    const int accepted = accept(agent, nullptr, nullptr);
    const uint16_t port = PeerPort(accepted);
    close(accepted);
    EXPECT_EQ(connection->ReadLine().value_or("error"), "");
    { auto closing = *std::move(connection); }
    EXPECT_TRUE(lab::WaitUntil([&] {
      return Pod().Run({"ss", "-Htan", "state", "time-wait"}).out.find(std::to_string(port)) !=
             std::string::npos;
    }));
    return port;
  }
};

TEST_F(TimeWaitTest, AReusedPortMeetsTheAgent) {
  StartApplication();
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent();
  const uint16_t port = LeaveTimeWait(agent);
  auto again = HttpConnection::Open(Client(), kPod4, kAppPort, lab::kPatience, port);
  ASSERT_TRUE(again.ok()) << again.status();
  pollfd polled{agent, POLLIN, 0};
  ASSERT_EQ(poll(&polled, 1, 5000), 1) << "the connection went past the agent";
  const int accepted = accept(agent, nullptr, nullptr);
  EXPECT_EQ(PeerPort(accepted), port);
  close(accepted);
  close(agent);
}

TEST_F(TimeWaitTest, AReusedPortMeetsNobodyWhenTheAgentIsDead) {
  StartApplication();
  ASSERT_TRUE(InstallHere({}).ok());
  const int agent = ListenAsAgent();
  const uint16_t port = LeaveTimeWait(agent);
  close(agent);
  EXPECT_EQ(TryApplication(kPod4, port), absl::StatusCode::kDeadlineExceeded)
      << "a dead agent's TIME_WAIT socket let a connection through to the application";
}

}  // namespace
}  // namespace whence::intercept
