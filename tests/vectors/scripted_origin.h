// An origin on loopback that answers what it is told, and remembers what it was asked.
#ifndef WHENCE_TESTS_VECTORS_SCRIPTED_ORIGIN_H_
#define WHENCE_TESTS_VECTORS_SCRIPTED_ORIGIN_H_

#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/os/unique_fd.h"

namespace whence::vectors {

// Every request is answered at once with 200 and `x-origin: 1`, but for the target /r when there is
// a script. Strict: what it cannot parse it answers by closing. Thread-safe; one thread per
// connection, joined on destruction.
class ScriptedOrigin {
 public:
  ScriptedOrigin();
  ~ScriptedOrigin();

  uint16_t port() const { return port_; }

  struct Script {
    std::string bytes;  // sent as they are
    bool then_close = false;
  };
  void Play(Script script);

  struct Request {
    std::string head;  // as received
    std::string body;  // decoded
  };
  // What came since the last call.
  std::vector<Request> Take();

 private:
  void Accept();
  void Serve(int fd);
  // False: the connection is over.
  bool Answer(int fd, std::string& received);

  os::UniqueFd listener_;
  uint16_t port_ = 0;
  std::thread acceptor_;

  std::mutex mutex_;  // guards what follows
  Script script_;
  bool has_script_ = false;
  bool stopping_ = false;
  std::vector<Request> requests_;
  std::vector<std::thread> threads_;
  std::vector<os::UniqueFd> connections_;
};

}  // namespace whence::vectors

#endif  // WHENCE_TESTS_VECTORS_SCRIPTED_ORIGIN_H_
