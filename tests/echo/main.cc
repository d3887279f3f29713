// whence-echo: answers what it saw of whoever connects.
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/base/standard_streams.h"
#include "tests/echo/http_echo.h"
#include "tests/echo/socket.h"

namespace whence::echo {
namespace {

constexpr char kHelp[] =
    R"(whence-echo: answers what it saw: the peer's address, its own, and every header line.

Usage: whence-echo [OPTIONS]
  --http PORT[,PORT...]  HTTP/1.1 ports (default 8080); JSON, or text with `Accept: text/plain`
  --tcp PORT[,PORT...]   TCP ports: `peer ADDRESS PORT` first, then whatever is sent, echoed
  --bind ADDRESS         listen on this address only (default: all, IPv4 and IPv6)
  --name TEXT            "name" in the answers
  --quiet                do not print a line per request
  --help, --version
Each flag is also an environment variable: WHENCE_HTTP, WHENCE_TCP, WHENCE_BIND, WHENCE_NAME, WHENCE_QUIET.

Examples:
  whence-echo
  whence-echo --http 8080,8081 --tcp 9000 --name echo-1
  curl -s http://127.0.0.1:8080/ -H 'X-Forwarded-For: 1.1.1.1'
)";

struct Settings {
  std::string http = "8080";
  std::string tcp;
  std::string bind;
  std::string name = "echo";
  bool quiet = false;
};

void ServeTcp(int socket, const std::string& name, bool quiet) {
  const Endpoint peer = PeerOf(socket);
  const std::string line = "peer " + peer.address + " " + std::to_string(peer.port) + "\n";
  if (!quiet) {
    std::fputs((name + " tcp " + line).c_str(), stdout);
    std::fflush(stdout);
  }
  bool good = SendAll(socket, line);
  std::string bytes;
  while (good && Receive(socket, &bytes)) {
    good = SendAll(socket, bytes);
    bytes.clear();
  }
}

using Server = void (*)(int, const std::string&, bool);

// A thread per connection: slow clients cannot hold up others, and there is no state to share.
[[noreturn]] void AcceptLoop(int listener, Server serve, const Settings& settings) {
  for (;;) {
    const int socket = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) continue;
    std::thread([socket, serve, &settings] {
      serve(socket, settings.name, settings.quiet);
      shutdown(socket, SHUT_WR);
      close(socket);
    }).detach();
  }
}

bool ParsePorts(const std::string& text, std::vector<uint16_t>* ports) {
  for (size_t start = 0; start < text.size();) {
    const size_t comma = std::min(text.find(',', start), text.size());
    const std::string word = text.substr(start, comma - start);
    char* end = nullptr;
    const unsigned long port = std::strtoul(word.c_str(), &end, 10);
    if (word.empty() || *end != '\0' || port < 1 || port > 65535) {
      std::fprintf(stderr, "whence-echo: \"%s\": a port is a number from 1 to 65535\n",
                   word.c_str());
      return false;
    }
    ports->push_back(static_cast<uint16_t>(port));
    start = comma + 1;
  }
  return true;
}

// False, and a message on stderr, if a variable is wrong.
bool ReadEnvironment(Settings* settings) {
  const auto take = [](const char* variable, std::string* value) {
    if (const char* text = std::getenv(variable)) *value = text;
  };
  take("WHENCE_HTTP", &settings->http);
  take("WHENCE_TCP", &settings->tcp);
  take("WHENCE_BIND", &settings->bind);
  take("WHENCE_NAME", &settings->name);
  std::string quiet;
  take("WHENCE_QUIET", &quiet);
  settings->quiet = quiet == "true" || quiet == "1";
  if (quiet.empty() || settings->quiet || quiet == "false" || quiet == "0") return true;
  std::fprintf(stderr, "whence-echo: WHENCE_QUIET \"%s\": give true or false\n", quiet.c_str());
  return false;
}

// The exit code, or -1 to go on.
int ReadFlags(int argc, char** argv, Settings* settings) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--help" || flag == "-h") return std::fputs(kHelp, stdout) < 0 ? 1 : 0;
    if (flag == "--version") return std::puts("whence-echo " WHENCE_VERSION) < 0 ? 1 : 0;
    if (flag == "--quiet") {
      settings->quiet = true;
      continue;
    }
    std::string* value = flag == "--http"   ? &settings->http
                         : flag == "--tcp"  ? &settings->tcp
                         : flag == "--bind" ? &settings->bind
                         : flag == "--name" ? &settings->name
                                            : nullptr;
    if (value == nullptr || i + 1 == argc) {
      std::fprintf(stderr, "whence-echo: %s: %s; see --help\n", flag.c_str(),
                   value == nullptr ? "no such flag" : "needs a value");
      return 2;
    }
    *value = argv[++i];
  }
  return -1;
}

int Main(int argc, char** argv) {
  // Used by threads that outlive this function's callers; the process ends without unwinding it.
  static Settings settings;
  if (!ReadEnvironment(&settings)) return 2;
  if (const int code = ReadFlags(argc, argv, &settings); code >= 0) return code;
  std::vector<uint16_t> http;
  std::vector<uint16_t> tcp;
  if (!ParsePorts(settings.http, &http) || !ParsePorts(settings.tcp, &tcp)) return 2;
  if (http.empty() && tcp.empty()) {
    std::fputs("whence-echo: nothing to listen on: give --http or --tcp PORT\n", stderr);
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<std::thread> threads;
  const auto start = [&](const std::vector<uint16_t>& ports, Server serve) {
    for (const uint16_t port : ports) {
      const int listener = Listen(settings.bind, port);
      if (listener < 0) return false;
      threads.emplace_back([listener, serve] { AcceptLoop(listener, serve, settings); });
    }
    return true;
  };
  // A thread that listens already must not keep the process from failing as a whole.
  if (!start(http, ServeHttp) || !start(tcp, ServeTcp)) _exit(1);
  std::printf("whence-echo: ready, http %s tcp %s\n", settings.http.c_str(),
              settings.tcp.empty() ? "-" : settings.tcp.c_str());
  std::fflush(stdout);
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace whence::echo

int main(int argc, char** argv) {
  whence::OpenStandardStreams();
  return whence::EndOutput("whence-echo", whence::echo::Main(argc, argv));
}
