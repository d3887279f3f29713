// The HTTP/1 vectors against a running data plane: a gateway on loopback between a client that
// sends the bytes, whole and one by one, and an origin that answers or misbehaves. The pure kinds
// check what is decided; this checks that it happens on sockets.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <fstream>
#include <memory>

#include "common/base/strings.h"
#include "common/http/response_head.h"
#include "dataplane/access_log/ring.h"
#include "dataplane/proxy/data_plane.h"
#include "tests/support/free_port.h"
#include "tests/vectors/http1.h"
#include "tests/vectors/scripted_origin.h"

namespace whence::vectors {
namespace {

using nlohmann::json;

// Never taken when things work.
constexpr int kPatienceMs = 5000;

std::vector<json> Load(const std::string& name) {
  std::ifstream file(std::string(WHENCE_VECTORS) + "/" + name);
  std::vector<json> vectors;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) vectors.push_back(json::parse(line));
  }
  return vectors;
}

class Client {
 public:
  explicit Client(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    const int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  }

  // Errors do not matter: who refuses the first half does not read the second.
  void Send(std::string_view bytes, size_t step) {
    for (; !bytes.empty(); bytes.remove_prefix(std::min(step, bytes.size()))) {
      (void)!send(fd_.get(), bytes.data(), std::min(step, bytes.size()), MSG_NOSIGNAL);
    }
  }
  void EndSending() { shutdown(fd_.get(), SHUT_WR); }

  struct Answer {
    int status = 0;  // 0: the connection ended instead
    std::string head;
    std::string body;
    bool complete = false;
  };
  // The next final answer.
  Answer Receive(bool to_head = false) {
    Answer answer;
    for (;;) {
      http::HeadStorage storage;
      http::ResponseHead head;
      const auto result = http::ParseResponseHead(received_, {}, {.head = to_head}, storage, &head);
      if (result.status == http::ParseStatus::kReject) {
        ADD_FAILURE() << "malformed answer: " << received_;
        return answer;
      }
      if (result.status == http::ParseStatus::kNeedMore) {
        if (!More()) return answer;
        continue;
      }
      const bool interim = head.interim();
      answer.status = head.status;
      answer.head = NormalForm(received_.substr(0, head.head_bytes));
      http::BodyDecoder body(head.framing, head.content_length);
      received_.erase(0, head.head_bytes);
      if (interim) continue;
      ReceiveBody(body, &answer);
      return answer;
    }
  }
  // True: the connection ended, and nothing came before that.
  bool Ended() { return received_.empty() && !More() && !timed_out_; }

 private:
  void ReceiveBody(http::BodyDecoder body, Answer* answer) {
    for (;;) {
      const auto step = body.Next(received_);
      if (step.kind == http::BodyDecoder::Kind::kPayload) {
        answer->body += received_.substr(0, step.bytes);
      }
      received_.erase(0, step.bytes);
      if (step.bytes > 0) continue;
      if (step.kind == http::BodyDecoder::Kind::kNeedMore && More()) continue;
      answer->complete = body.EndOfInput() && !reset_;
      return;
    }
  }
  bool More() {
    pollfd polled{fd_.get(), POLLIN, 0};
    if (poll(&polled, 1, kPatienceMs) == 0) {
      timed_out_ = true;
      ADD_FAILURE() << "neither an answer nor an end";
      return false;
    }
    std::array<char, 65536> bytes;
    const ssize_t size = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    reset_ = size < 0;
    if (size <= 0) return false;
    received_.append(bytes.data(), static_cast<size_t>(size));
    return true;
  }

  os::UniqueFd fd_;
  std::string received_;
  bool reset_ = false;
  bool timed_out_ = false;
};

class Http1LiveTest : public testing::Test {
 protected:
  Http1LiveTest() : port_(FreePort()) {
    proxy::DataPlaneOptions options;
    options.role = trust::Role::kGateway;
    options.interception = proxy::InterceptionMode::kNone;
    options.listen_addresses = {*net::IpAddress::Parse("127.0.0.1")};
    options.own_addresses = options.listen_addresses;
    access_log::Ring* rings[] = {&ring_};
    auto started = proxy::DataPlane::Start(options, Snapshot(0), rings);
    EXPECT_TRUE(started.ok()) << started.status();
    if (started.ok()) plane_ = std::move(*started);
  }

  // Everything goes to the origin.
  std::shared_ptr<const snapshot::Snapshot> Snapshot(uint32_t trusted_hops) const {
    auto snapshot = std::make_shared<snapshot::Snapshot>();
    snapshot->topology = trust::DefaultTopology(trust::Role::kGateway);
    snapshot->topology.num_trusted_proxies = trusted_hops;
    snapshot->topology.internal = net::CidrSet(std::vector<net::Cidr>());  // peer_is_external
    snapshot->policies = *policy::PolicySet::Compile({}, nullptr);
    snapshot->clusters.push_back(
        {"origin", {{{*net::IpAddress::Parse("127.0.0.1"), origin_.port()}, "test/origin"}}});
    snapshot::Listener listener;
    listener.port = port_;
    listener.protocol = snapshot::Protocol::kHttp;
    listener.virtual_hosts = snapshot::VirtualHosts({{{"*"}, {snapshot::Route{}}}});
    snapshot->listeners.push_back(std::move(listener));
    return snapshot;
  }

  void CheckRequest(const json& vector, size_t step);
  void CheckForwarded(const json& out, const std::vector<ScriptedOrigin::Request>& requests);
  void CheckResponse(const json& vector);

  ScriptedOrigin origin_;
  const uint16_t port_;
  access_log::Ring ring_;
  std::unique_ptr<proxy::DataPlane> plane_;
};

// A loopback client is appended as the gateway's own address, which is the same here.
std::string WithClient(std::string text) {
  constexpr std::string_view kName = "{client_ip}";
  const size_t at = text.find(kName);
  if (at != std::string::npos) text.replace(at, kName.size(), "127.0.0.1");
  return text;
}

void Http1LiveTest::CheckForwarded(const json& out,
                                   const std::vector<ScriptedOrigin::Request>& requests) {
  ASSERT_EQ(requests.size(), out.at("requests").get<size_t>());
  std::string heads;
  for (const auto& request : requests) {
    heads += (heads.empty() ? "" : "\r\n") + Lower(NormalForm(request.head));
  }
  for (const std::string& text : Texts(out, "forwarded_contains")) {
    EXPECT_THAT(heads, testing::HasSubstr(WithClient(Lower(text))));
  }
  for (const std::string& text : Texts(out, "forwarded_not_contains")) {
    EXPECT_THAT(heads, testing::Not(testing::HasSubstr(Lower(text))));
  }
  if (const json body = out.value("body_hex", json()); body.is_string()) {
    EXPECT_EQ(ToHex(requests[0].body), body);
  }
  const std::vector<std::string> bodies = Texts(out, "bodies_hex");
  for (size_t i = 0; i < bodies.size(); ++i) EXPECT_EQ(ToHex(requests[i].body), bodies[i]);
}

void Http1LiveTest::CheckRequest(const json& vector, size_t step) {
  const json& out = vector.at("out");
  Client client(port_);
  client.Send(FromHex(vector.at("raw_hex")), step);
  // An end of sending makes the agent end too once all is answered, so that we can read to the end.
  // Where it has to end by itself we do not help.
  const bool ends_itself = out.value("close_after", json()) == true;
  if (!ends_itself || vector.value("client_half_close", false)) client.EndSending();

  std::string first_class;
  std::string then;
  for (;;) {
    const Client::Answer answer = client.Receive();
    const bool from_origin = answer.head.find("\r\nx-origin: 1\r\n") != std::string::npos;
    const std::string what = answer.status == 0 ? "close"
                             : from_origin      ? "forward"
                                                : "reject_" + std::to_string(answer.status);
    if (first_class.empty()) {
      first_class = what;
    } else if (what.starts_with("reject")) {
      then = what;
    }
    if (answer.status == 0) break;
    EXPECT_TRUE(answer.complete);
  }
  const auto requests = origin_.Take();
  ASSERT_THAT(Classes(out), testing::Contains(first_class));
  if (first_class != "forward") {
    EXPECT_EQ(requests.size(), 0u);
    return;
  }
  CheckForwarded(out, requests);
  if (const json wanted = out.value("then", json()); wanted.is_string()) {
    EXPECT_EQ(then, wanted);
  }
}

TEST_F(Http1LiveTest, Requests) {
  ASSERT_NE(plane_, nullptr);
  const std::vector<json> vectors = Load("http1_requests.jsonl");
  ASSERT_GT(vectors.size(), 100u);
  uint32_t hops = 0;
  for (const json& vector : vectors) {
    const json cfg = vector.value("cfg", json());
    const uint32_t wanted = cfg.is_object() ? cfg.value("num_trusted_hops", 0u) : 0;
    if (wanted != hops) {
      hops = wanted;
      ASSERT_TRUE(plane_->Publish(Snapshot(hops)).ok());
    }
    const size_t size = vector.at("raw_hex").get_ref<const std::string&>().size() / 2;
    for (const size_t step : {size + 1, size < 400 ? size_t{1} : size_t{1447}}) {
      SCOPED_TRACE(vector.at("id").get<std::string>() + " by " + std::to_string(step));
      CheckRequest(vector, step);
    }
  }
}

std::string RequestBytes(const json& request) {
  std::string bytes = request.at("method").get<std::string>() + " " +
                      request.at("target").get<std::string>() + " HTTP/1.1\r\nHost: a.test\r\n";
  for (const auto& [name, value] : request.at("headers").items()) {
    bytes += name + ": " + value.get<std::string>() + "\r\n";
  }
  return bytes + "\r\n";
}

void Http1LiveTest::CheckResponse(const json& vector) {
  const json& out = vector.at("out");
  const bool closes = vector.at("origin_then") == "close";
  origin_.Play({FromHex(vector.at("raw_hex")), closes});
  auto client = std::make_unique<Client>(port_);
  client->Send(RequestBytes(vector.at("request")), size_t{1} << 20);
  const Client::Answer answer = client->Receive(vector.at("request").at("method") == "HEAD");
  const std::string got = answer.status == 0     ? "close"
                          : !answer.complete     ? "truncated"
                          : answer.status >= 500 ? "reject_" + std::to_string(answer.status)
                                                 : "relay";
  ASSERT_THAT(Classes(out), testing::Contains(got));
  const std::string head = Lower(answer.head);
  if (got == "relay") {
    if (const json status = out.value("status", json()); status.is_number()) {
      EXPECT_EQ(answer.status, status);
    }
    for (const std::string& text : Texts(out, "client_contains")) {
      EXPECT_THAT(head, testing::HasSubstr(Lower(text)));
    }
    if (const json body = out.value("body_hex", json()); body.is_string()) {
      EXPECT_EQ(ToHex(answer.body), body);
    }
  }
  for (const std::string& text : Texts(out, "client_not_contains")) {
    EXPECT_THAT(head + answer.body, testing::Not(testing::HasSubstr(Lower(text))));
  }
  // The next request gets its own answer, on this connection if it is still there.
  const std::string second = "GET /second HTTP/1.1\r\nHost: a.test\r\n\r\n";
  const bool over = !answer.complete || answer.status == 0 ||
                    head.find("\r\nconnection: close\r\n") != std::string::npos;
  if (over) client = std::make_unique<Client>(port_);
  client->Send(second, second.size());
  const Client::Answer next = client->Receive();
  EXPECT_EQ(next.status, 200);
  EXPECT_EQ(next.body, "origin");
}

TEST_F(Http1LiveTest, Responses) {
  ASSERT_NE(plane_, nullptr);
  const std::vector<json> vectors = Load("http1_responses.jsonl");
  ASSERT_GT(vectors.size(), 30u);
  for (const json& vector : vectors) {
    SCOPED_TRACE(vector.at("id").get<std::string>());
    CheckResponse(vector);
  }
}

}  // namespace
}  // namespace whence::vectors
