// One listening socket of one worker. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_LISTENER_H_
#define WHENCE_DATAPLANE_PROXY_LISTENER_H_

#include <cstdint>
#include <vector>

#include "dataplane/os/socket.h"
#include "dataplane/proxy/context.h"
#include "dataplane/proxy/listeners.h"

namespace whence::proxy {

class Listener final : public loop::EventHandler {
 public:
  Listener(Context& context, const ListenSpec& spec, os::UniqueFd fd);

  // False: it could not be registered with the loop.
  bool Start();
  // There is a newer snapshot. For a sidecar's second listener: which ports are its own now.
  void OnSnapshot();
  // Accepts what stands in the queue now.
  void AcceptWaiting();
  // New connections are ignored from now on; those that are being made come through.
  void IgnoreNew();
  // Closes the socket; what waits in its queue is reset by the kernel.
  void Close();
  const ListenSpec& spec() const { return spec_; }
  // Some of whom the kernel has accepted may not be here yet.
  bool defers() const { return defers_; }

  void OnEvents(uint32_t events) override;

 private:
  // False: none waits, or accepting paused.
  bool AcceptOne();
  void Admit(os::Accepted accepted);
  // Where it aimed. False: it did not come by interception, or aims at ourselves; it was refused.
  bool FindDestination(const os::Accepted& accepted, net::OriginalDestination* out);
  // Deferring, it was given a connection to a port that is not its own: sockets of another process
  // are in the group, which moves ours, and who waits for its server's first words would be held
  // back. No more.
  void MistrustSteering();
  void Refuse(const os::Accepted& accepted, Counter counter, access_log::Flag flag,
              const net::SocketAddress& destination);
  // Out of descriptors or memory: accepting again at once would fail again at once, for ever.
  void Pause();
  void Resume();

  Context& context_;
  const ListenSpec spec_;
  os::UniqueFd fd_;
  loop::Timer resume_;
  bool defers_ = false;  // what it accepts has first bytes, nearly always
  bool mistrusted_ = false;
  std::vector<uint16_t> steered_ports_;  // of the program that is attached
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_LISTENER_H_
