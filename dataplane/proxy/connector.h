// Opens upstream connections from the right source address. Loop-affine.
#ifndef WHENCE_DATAPLANE_PROXY_CONNECTOR_H_
#define WHENCE_DATAPLANE_PROXY_CONNECTOR_H_

#include <memory>
#include <optional>
#include <string_view>

#include "dataplane/proxy/counters.h"
#include "dataplane/proxy/data_plane.h"
#include "dataplane/proxy/source_choice.h"
#include "dataplane/proxy/source_port.h"
#include "dataplane/proxy/spare_sockets.h"
#include "dataplane/proxy/upstream.h"

namespace whence::proxy {

class Connector {
 public:
  // References outlive this object.
  Connector(loop::EventLoop& loop, const DataPlaneOptions& options, const TupleTable& tuples,
            WorkerCounters& counters, PortSequence ports);

  enum class Outcome : uint8_t {
    kStarted,            // `upstream` is connecting
    kFailed,             // refused at once, unreachable, out of descriptors
    kSourceUnavailable,  // the source address cannot be used: family, privilege, not on this
                         // machine
    kSourceExhausted,    // every source port that was tried is in use
  };
  struct Opened {
    Outcome outcome;
    std::unique_ptr<Upstream> upstream;
    bool fell_back = false;  // from our own address, as the topology allows
    size_t sent = 0;         // so many of the first bytes are on their way
  };
  // Never another source than `source`, unless `fallback` names one. Failures are counted here.
  //
  // `first_bytes` (may be empty): what to send first. The application of a sidecar is on the same
  // machine, where connect() comes back with the handshake done: then they go at once, which saves
  // an event, and `upstream` is open already.
  // `announce`: the receiver's key, if the connection is to begin with our proof (Upstream).
  Opened Open(const net::SocketAddress& destination, const SourceChoice& source,
              const std::optional<SourceChoice>& fallback, std::string_view first_bytes,
              UpstreamUser& user,
              const std::optional<proxy_protocol::HandoverKey>& announce = std::nullopt);

  // A connection from a client's address was refused, or heard nothing: whether one from another
  // port may do better. It may if the first met one that the client itself has from the same port
  // and that was not in our table: not accepted yet (the packet rules refuse us then), or left by
  // an earlier process. `tries`: of this access, counted here.
  bool TriesAnotherPort(bool is_spoofed, bool timed_out, uint8_t* tries);

  // Ends a connection on which neither side has more to say, and keeps its socket for the next one
  // where that can be. The other side sees a reset if it has not heard our end.
  void End(std::unique_ptr<Upstream> upstream);
  // Closes the sockets that nothing needed ever since the last call. Called every second or so.
  void Trim() { spares_.Trim(); }
  // Closes all that are kept.
  void CloseKept() { spares_.Clear(); }

  // How the connections that Open makes are kept apart.
  static Upstream::Key KeyOf(const net::SocketAddress& destination, const SourceChoice& source,
                             bool announced = false);

 private:
  struct Made {
    os::UniqueFd fd;
    uint16_t port = 0;  // where it was bound explicitly
  };

  // The application is on this machine.
  bool is_near() const { return options_.role == trust::Role::kSidecar; }
  // `speaks_first`: we do, as soon as it is connected.
  Outcome TryOpen(const net::SocketAddress& destination, const SourceChoice& source,
                  bool speaks_first, Made* out);
  // With the socket that TryOpen made.
  std::unique_ptr<Upstream> Wrap(Made made, const net::SocketAddress& destination,
                                 const SourceChoice& source, UpstreamUser& user,
                                 const std::optional<proxy_protocol::HandoverKey>& announce);
  Outcome Begin(std::unique_ptr<Upstream> upstream, std::string_view first_bytes, Opened* opened);
  // From a socket that was kept; null: from a new one.
  std::unique_ptr<Upstream> Reconnect(const net::SocketAddress& destination,
                                      const SourceChoice& source, bool speaks_first,
                                      UpstreamUser& user);
  Outcome ConnectSpoofed(const net::SocketAddress& destination, const net::IpAddress& source,
                         bool speaks_first, Made* out);

  loop::EventLoop& loop_;
  const DataPlaneOptions& options_;
  const TupleTable& tuples_;
  WorkerCounters& counters_;
  PortSequence ports_;
  SpareSockets spares_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_CONNECTOR_H_
