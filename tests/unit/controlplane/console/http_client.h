// One HTTP request, byte for byte as a test wants it, from an address of its choice.
#ifndef WHENCE_TESTS_UNIT_CONTROLPLANE_CONSOLE_HTTP_CLIENT_H_
#define WHENCE_TESTS_UNIT_CONTROLPLANE_CONSOLE_HTTP_CLIENT_H_

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>

namespace whence {

// The whole answer, head and body. `head`: request line and headers, each with its line end; the
// connection is asked to end.
inline std::string Exchange(int port, const std::string& head, const char* from = "127.0.0.1") {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in source{}, server{};
  source.sin_family = server.sin_family = AF_INET;
  inet_pton(AF_INET, from, &source.sin_addr);
  inet_pton(AF_INET, "127.0.0.1", &server.sin_addr);
  server.sin_port = htons(static_cast<uint16_t>(port));
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&source), sizeof source), 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&server), sizeof server), 0);
  const std::string request = head + "Connection: close\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(request.size()));
  std::string answer;
  char buffer[4096];
  for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
    answer.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

inline std::string Get(int port, const std::string& target) {
  return Exchange(port, "GET " + target + " HTTP/1.1\r\nHost: localhost:15014\r\n");
}

}  // namespace whence

#endif  // WHENCE_TESTS_UNIT_CONTROLPLANE_CONSOLE_HTTP_CLIENT_H_
