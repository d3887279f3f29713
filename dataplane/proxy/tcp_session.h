// A downstream connection that is relayed byte for byte: judged by its addresses before anything
// goes upstream; denied is reset. Leaves one record.
#ifndef WHENCE_DATAPLANE_PROXY_TCP_SESSION_H_
#define WHENCE_DATAPLANE_PROXY_TCP_SESSION_H_

#include <memory>
#include <optional>

#include "dataplane/access_log/packed_record.h"
#include "dataplane/proxy/downstream.h"
#include "dataplane/proxy/relay.h"
#include "dataplane/proxy/upstream.h"

namespace whence::proxy {

// Loop-affine.
class TcpSession final : public Session, private UpstreamUser {
 public:
  // `silent`: the client has said nothing yet, so this may still turn out to be HTTP. Until either
  // side speaks, nothing is decided: if the server does, it is a protocol of that kind; if the
  // client does, its first bytes are looked at as those of any connection.
  TcpSession(Context& context, Downstream& downstream, bool silent);
  ~TcpSession() override;

  void OnDownstream() override { Run(); }
  void OnTimer() override;
  void Rejudge() override;
  void OnDrain() override {}  // TCP knows no polite end: it goes on until the deadline
  void OnCut(access_log::Flag reason) override;

 private:
  void OnUpstream(Upstream& upstream) override;
  void Run();
  // Judges and connects. False: refused, and closed.
  bool Start();
  // False: failed, and closed.
  bool Connect(const trust::Resolution& resolution);
  void DropUpstream();
  struct Target {
    net::SocketAddress address;
    bool has_agent = false;
    std::optional<proxy_protocol::HandoverKey> handover_key = {};
    snapshot::ConnectionLimits limits = {};
    std::shared_ptr<ConnectionQuota> quota = {};  // null: no limit
  };
  std::optional<Target> Destination(const net::TrustedClient& client);
  // Gateways: who the client is, for the endpoint.
  void WriteHeader(const trust::Resolution& resolution, const Target& target);
  // Whether all of it is on its way; nothing else goes upstream before.
  bool SendHeader();
  void BecomeHttp();
  // The client began with a PROXY protocol header and may not.
  void ForbidHeader();
  // Whether the relay may go on; false also if this session's part is over.
  bool SettleSilence();
  void MoveBytes();
  access_log::Record& record();
  void PackRecord();
  void Fail(access_log::Flag flag);
  void Finish(bool reset);

  Context& context_;
  Downstream& downstream_;
  bool silent_;
  bool started_ = false;
  bool finished_ = false;
  std::unique_ptr<Upstream> upstream_;
  EndpointState* endpoint_ = nullptr;  // counts this connection; null: nothing is counted
  WriteBuffer header_;                 // PROXY protocol
  bool has_header_ = false;
  uint8_t port_tries_ = 0;  // Connector::TriesAnotherPort
  std::optional<Relay> relay_;
  const SteadyTime began_;
  // What is known so far: as it is while the connection begins and ends, packed between.
  std::unique_ptr<access_log::Record> record_;
  std::optional<access_log::PackedRecord> packed_record_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_TCP_SESSION_H_
