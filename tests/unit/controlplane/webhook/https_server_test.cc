// How the webhook's server shares its one thread among clients.
#include "controlplane/webhook/https_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/security/authority.h"

namespace whence::webhook {
namespace {

using namespace std::chrono_literals;

class Client {
 public:
  Client() : context_(SSL_CTX_new(TLS_client_method())), tls_(SSL_new(context_.get())) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { close(fd_); }

  int fd() const { return fd_; }
  // Accepted by the kernel, not by the server.
  void Connect(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    ASSERT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }
  void ShakeHands() {
    SSL_set_fd(tls_.get(), fd_);
    ASSERT_EQ(SSL_connect(tls_.get()), 1);
  }
  void Ask(const std::string& path, int times = 1) {
    std::string requests;
    for (int i = 0; i < times; ++i) requests += "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n";
    size_t written = 0;
    ASSERT_EQ(SSL_write_ex(tls_.get(), requests.data(), requests.size(), &written), 1);
    ASSERT_EQ(written, requests.size());
  }
  // Until so many answers have come.
  void Read(int answers) {
    std::string text;
    char bytes[4096];
    size_t size = 0;
    while (answers > 0) {
      ASSERT_EQ(SSL_read_ex(tls_.get(), bytes, sizeof(bytes), &size), 1);
      text.append(bytes, size);
      for (size_t at; (at = text.find("HTTP/1.1 200")) != text.npos; --answers) {
        text.erase(0, at + 12);
      }
    }
  }

 private:
  TlsContext context_;
  TlsSession tls_;
  int fd_;
};

class HttpsServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/https-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    const WallTime now = SystemClock().Now();
    const auto authority = security::MakeAuthority("whence.local", now, std::chrono::hours(1));
    const auto pair =
        security::Issue(*authority,
                        {{security::Kind::kControlPlane, "whence.local", "", "webhook"},
                         {"localhost"},
                         std::chrono::hours(1)},
                        now);
    ASSERT_TRUE(pair.ok()) << pair.status();
    std::ofstream(directory_ + "/crt") << pair->certificate;
    std::ofstream(directory_ + "/key") << pair->key;
  }
  void Start(HttpsServer::Handler handler) {
    auto certificate = ServerCertificate::Load(directory_ + "/crt", directory_ + "/key", logger_);
    ASSERT_TRUE(certificate.ok()) << certificate.status();
    auto server = HttpsServer::Start(*control::ListenAddress::Parse("127.0.0.1:0"),
                                     *std::move(certificate), {}, std::move(handler));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }
  void TearDown() override {
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  log::Logger logger_{log::Level::kOff};
  std::string directory_;
  std::unique_ptr<HttpsServer> server_;
};

TEST_F(HttpsServerTest, WhoAsksMuchAtOnceDoesNotKeepTheOthersWaiting) {
  constexpr int kMany = 500;
  Client greedy, other;
  std::atomic<int> served{0}, served_before_other{-1};
  Start([&](const HttpRequest& request) {
    if (request.target == "/other") {
      served_before_other = served.load();
    } else if (request.target == "/many" && ++served == 1) {
      other.Ask("/other");  // while everything that the first one wants is there already
    }
    return HttpResponse{};
  });
  for (Client* client : {&greedy, &other}) {
    client->Connect(server_->port());
    client->ShakeHands();
  }
  other.Ask("/warm");  // so that nothing of its handshake is left
  other.Read(1);
  greedy.Ask("/many", kMany);
  greedy.Read(kMany);
  const auto start = std::chrono::steady_clock::now();
  while (served_before_other < 0 && std::chrono::steady_clock::now() - start < 20s) {
    std::this_thread::yield();
  }
  other.Read(1);
  EXPECT_EQ(served, kMany);
  EXPECT_GE(served_before_other, 1);
  EXPECT_LE(served_before_other, 8);
}

TEST_F(HttpsServerTest, OutOfDescriptorsItWaitsAndThenAcceptsWhoIsStillThere) {
  Start([](const HttpRequest&) { return HttpResponse{}; });
  Client client, warm;
  warm.Connect(server_->port());
  warm.ShakeHands();
  warm.Ask("/");
  warm.Read(1);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  // The lowest number that is free is the next.
  const int next = dup(client.fd());
  ASSERT_GE(next, 0);
  close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto start = std::chrono::steady_clock::now();
  client.Connect(server_->port());
  while (server_->accept_pauses() < 3 && std::chrono::steady_clock::now() - start < 20s) {
    std::this_thread::yield();
  }
  const auto took = std::chrono::steady_clock::now() - start;
  // Those that are there go on meanwhile.
  warm.Ask("/");
  warm.Read(1);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_GE(server_->accept_pauses(), 3u);
  EXPECT_GE(took, 200ms) << "it turned round and round";
  client.ShakeHands();
  client.Ask("/");
  client.Read(1);
}

}  // namespace
}  // namespace whence::webhook
