#include "tests/bench/agents/control.h"

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace whence::bench {
namespace {

constexpr int kLargeMessage = 64 << 20;

std::string After(const std::string& text, const std::string& mark) {
  const size_t at = text.find(mark);
  if (at == text.npos) Fail("the ready line lacks \"" + mark + "\": " + text);
  const size_t begin = at + mark.size();
  return text.substr(begin, text.find_first_of(", \n", begin) - begin);
}

std::string HttpGet(uint16_t port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    close(fd);
    return "";
  }
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (write(fd, request.data(), request.size()) == static_cast<ssize_t>(request.size())) {
    char buffer[16384];
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(fd);
  return answer;
}

}  // namespace

void Fail(const std::string& what) {
  std::fprintf(stderr, "whence-bench-agents: %s\n", what.c_str());
  std::exit(1);
}

Control::Control(std::string program, std::vector<std::string> flags)
    : program_(std::move(program)), flags_(std::move(flags)) {
  std::string pattern = (std::filesystem::temp_directory_path() / "whence-agents-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) Fail("no directory " + pattern);
  directory_ = pattern;
  Start("127.0.0.1:0");
}

Control::~Control() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  std::filesystem::remove_all(directory_);
}

void Control::Start(const std::string& listen) {
  std::vector<std::string> words = {program_,      "--data-dir",  directory_ + "/data",
                                    "--listen",    listen,        "--http",
                                    "127.0.0.1:0", "--log-level", "off"};
  words.insert(words.end(), flags_.begin(), flags_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int out[2];
  if (pipe(out) != 0) Fail("no pipe");
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(out[1], 1);
    close(out[0]);
    close(out[1]);
    execv(argv[0], argv.data());
    _exit(127);
  }
  close(out[1]);
  std::string line;
  for (char c; read(out[0], &c, 1) == 1 && c != '\n';) line += c;
  close(out[0]);
  if (line.empty()) Fail("whence-control did not start");
  address_ = After(line, "grpc ");
  const std::string http = After(line, "http ");
  http_port_ = static_cast<uint16_t>(std::stoi(http.substr(http.rfind(':') + 1)));
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(kLargeMessage);
  auto channel = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
  config_ = v1::ConfigService::NewStub(channel);
  agents_ = v1::AgentService::NewStub(channel);
}

void Control::KillAndRestart() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  Start(address_);
}

uint64_t Control::Apply(const std::vector<std::string>& files) {
  v1::ApplyRequest request;
  for (const std::string& text : files) {
    v1::SourceFile* file = request.add_files();
    file->set_name("load.yaml");
    file->set_content(text);
  }
  grpc::ClientContext context;
  v1::ApplyResponse response;
  const grpc::Status status = config_->Apply(&context, request, &response);
  if (!status.ok()) Fail("apply: " + status.error_message());
  return response.revision();
}

Control::Agents Control::Count(uint64_t revision) {
  grpc::ClientContext context;
  v1::ListAgentsResponse response;
  const grpc::Status status = agents_->ListAgents(&context, {}, &response);
  if (!status.ok()) Fail("agents: " + status.error_message());
  Agents agents;
  agents.connected = static_cast<size_t>(response.agents_size());
  for (const v1::AgentState& agent : response.agents()) {
    if (agent.acked_revision() == revision) ++agents.acknowledged;
  }
  return agents;
}

double Control::Metric(const std::string& name) const {
  std::istringstream lines(HttpGet(http_port_, "/metrics"));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(name + " ", 0) == 0) return std::stod(line.substr(name.size() + 1));
  }
  return -1;
}

double Control::RssKib() const {
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6));
  }
  return 0;
}

double Control::CpuSeconds() const {
  std::ifstream stat("/proc/" + std::to_string(pid_) + "/stat");
  std::string text((std::istreambuf_iterator<char>(stat)), {});
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

}  // namespace whence::bench
