// One accepted connection: a socket, what has arrived on it, and the session that serves it.
//
//   accepted ─► PROXY protocol header, ─► port of known protocol ─────────────────► HttpSession or
//               if this peer may send one └─► first bytes: HTTP, or not, or none ─┘  TcpSession
//                                             in time
//
// A connection that stays silent is taken as TCP, so that protocols in which the server speaks
// first work. If what comes first on it is a request after all (clients open connections ahead of
// need), it becomes HTTP then; see TcpSession.
//
// A PROXY protocol header is removed before anything else looks at the bytes; where none may come,
// the connection of who begins one is reset, whenever that is and however it is cut
// (proxy_protocol::SignatureGuard). What follows a header was written by the client and may not
// begin with another. From the address of an agent of ours a header counts with a proof only
// (proxy_protocol/handover.h), and it says whose words follow.
//
// Loop-affine. Owned by the worker; Close hands it over to destruction at the end of the round.
#ifndef WHENCE_DATAPLANE_PROXY_DOWNSTREAM_H_
#define WHENCE_DATAPLANE_PROXY_DOWNSTREAM_H_

#include <memory>
#include <optional>
#include <string>

#include "common/net/roles.h"
#include "common/proxy_protocol/handover.h"
#include "common/proxy_protocol/signature_guard.h"
#include "common/trust/topology.h"
#include "dataplane/proxy/context.h"
#include "dataplane/proxy/judgement.h"
#include "dataplane/proxy/session.h"
#include "dataplane/proxy/stream.h"

namespace whence::proxy {

class Downstream final : public loop::EventHandler {
 public:
  struct Origin {
    net::DirectPeer peer;
    net::OriginalDestination destination;
    uint16_t listener_port;  // gateways: which listener of the snapshot it came through
  };
  Downstream(Context& context, os::UniqueFd fd, const Origin& origin);
  ~Downstream() override;

  // Waits for the first bytes, or serves them at once where they are certain to be there: then most
  // short connections are over before anybody has to wait for anything on them, and are never
  // registered with the loop. False: it could not be registered.
  bool Start(bool is_readable = false);
  // Registers with the loop, if that was not done yet. Where it fails the connection is cut.
  void Watch();
  void OnEvents(uint32_t events) override;

  // Passed to the session, or acted upon while there is none.
  void OnSnapshot();
  void Rejudge() {
    if (session_) session_->Rejudge();
  }
  void OnDrain();
  void Cut(access_log::Flag reason);

  // Ends the connection; with a reset if something went wrong that the client has to see.
  void Close(bool reset = false);
  bool closed() const { return !stream.open(); }

  // The session asks for another turn after the other connections have had theirs.
  void Schedule() { context_.loop.Schedule(*this); }
  void ArmTimer(std::chrono::milliseconds delay);
  void CancelTimer() { timer_.Cancel(); }

  // A TCP session found that this is HTTP; `upstream` (may be null) is already connected for it.
  void BecomeHttp(std::unique_ptr<Upstream> upstream);

  // Looks at the last `bytes` of `in`, which were just read and are the first after those it saw
  // before. False: they are a header where none may come; the caller ends with RefuseHeader or a
  // record of its own.
  bool Admits(size_t bytes) { return guard_.Admits(in.raw().substr(in.raw().size() - bytes)); }
  proxy_protocol::SignatureGuard& guard() { return guard_; }
  // Resets the connection for its PROXY protocol header, or the want of one; leaves a record.
  void RefuseHeader(Counter why);

  const ConnectionFacts& facts() const { return facts_; }
  const net::DirectPeer& peer() const { return facts_.peer; }
  const net::OriginalDestination& destination() const { return facts_.destination; }
  uint16_t listener_port() const { return listener_port_; }
  // Fills a new record with what is known of the connection; it starts now.
  void BeginRecord(access_log::Record* record) const;
  // Leaves it, with what the PROXY protocol header said besides: last, so that this cuts no other
  // text.
  void Push(access_log::Record* record);

  Stream stream;
  ReadBuffer in;
  size_t place = 0;  // its owner's: where it stands in the list of connections

 private:
  void Begin(snapshot::Protocol protocol, bool silent = false);
  void TakeHeader();
  // Whether that stage is over.
  bool ParseHeader();
  void UseHeader(const proxy_protocol::Header& header);
  // What the header proves of its writer, by the newest snapshot's key. Without one: what is
  // harmless to believe.
  std::optional<proxy_protocol::Spoken> ProofIn(const proxy_protocol::Header& header) const;
  // Takes off a hand-over of an agent whom we do not believe, or do not know yet, so that neither
  // the application meets it nor the agent's requests are lost. False: the bytes are no such thing.
  bool SkipAgentsHeader();
  // Whether the newest snapshot lets this peer send a header, and takes up its rule.
  bool StillTakesHeaders();
  void OnHeaderDeadline();

  void BeginDetection();
  void DetectProtocol();
  // Admits for the first bytes, before anything of them went on.
  bool AdmitsFirst(size_t bytes);
  // By what has arrived. `ended`: nothing more will.
  void Classify(bool ended);
  void OnTimer();
  // No word from the client: TCP, if TCP may enter at all.
  void OnSilence();

  Context& context_;
  const uint16_t listener_port_;
  const bool watched_;     // its tuple stands in the table
  ConnectionFacts facts_;  // constant once the header is taken
  trust::ProxyHeaderRule header_rule_ = trust::ProxyHeaderRule::kNotRead;
  bool awaits_header_ = false;
  bool header_taken_ = false;
  std::unique_ptr<const std::string> proxy_tlvs_;  // what the header said besides addresses
  proxy_protocol::SignatureGuard guard_;
  bool silence_judged_ = false;
  std::unique_ptr<Session> session_;
  loop::Timer timer_;
  std::chrono::milliseconds patience_{0};  // what it was armed with
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_DOWNSTREAM_H_
