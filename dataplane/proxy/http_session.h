// HTTP/1.x on one downstream connection: requests are taken one at a time and answered in order.
//
//             ┌──────────────────────────────────────────────┐
//             ▼                                               │ keep-alive
//   kHead: wait for a head ──► kExchange: judge, then answer ─┤
//             │                or forward and stream          ├─► kDiscard: read on for a moment
//             ▼                        │ 101                  ▼   so that the answer survives
//          (closed)                 kTunnel ──────────────► (closed)
//
// A response that ends with the connection and broke off ends with a reset: kBreaking waits until
// what there was of it is on its way.
//
// While an exchange is under way the next request stays unread behind it. Bodies move through two
// bounded buffers, one per direction: when one is full its sender is no longer read from.
//
// The upstream connection stays with this session for its next requests and then waits in the pool
// for the next connection of the same client (sidecar), or goes to the pool between requests
// (gateway). It is reused only if both messages on it ended cleanly. A sidecar empties its pools
// when the application leaves a new connection without an answer.
//
// Files: http_session.cc has the states, request_side.cc and response_side.cc the two directions of
// an exchange, route_side.cc what a gateway's route asks for.
#ifndef WHENCE_DATAPLANE_PROXY_HTTP_SESSION_H_
#define WHENCE_DATAPLANE_PROXY_HTTP_SESSION_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/http/request_head.h"
#include "common/http/response_head.h"
#include "dataplane/proxy/downstream.h"
#include "dataplane/proxy/exchange.h"
#include "dataplane/proxy/judgement.h"
#include "dataplane/proxy/pending_requests.h"
#include "dataplane/proxy/relay.h"
#include "dataplane/proxy/upstream.h"

namespace whence::trust {
struct Forwarding;
}
namespace whence::snapshot {
struct RoutedRequest;
}

namespace whence::proxy {

// Loop-affine.
class HttpSession final : public Session, private UpstreamUser, private PendingRequests::User {
 public:
  HttpSession(Context& context, Downstream& downstream);
  ~HttpSession() override;

  // Takes over a connection that was opened for this client's address. Null is fine.
  void Adopt(std::unique_ptr<Upstream> upstream);

  void OnDownstream() override { Pump(); }
  void OnTimer() override;
  void Rejudge() override;
  void OnSnapshot() override;
  void OnDrain() override;
  void OnCut(access_log::Flag reason) override;

 private:
  enum class Phase : uint8_t { kHead, kExchange, kTunnel, kDiscard, kBreaking, kClosed };

  // --- states: http_session.cc ---
  void OnUpstream(Upstream& upstream) override;
  void JudgeIdle();
  // Moves whatever can move, and has the downstream watched where that may matter next.
  void Pump();
  void MoveAll();
  // The request is whole, and of its answer nothing has come.
  bool WaitsForUpstreamOnly() const;
  // The functions below return whether to go on.
  bool AwaitHead();
  bool TakeHead();
  // The client sends no more, and what it sent is no whole head.
  bool HeadEnded();
  bool MoveExchange();
  // Nothing moves: makes sure that neither side waits for us.
  void AskForRest();
  // A new upstream connection stays silent: the application may be waiting on one that is kept
  // warm.
  void AskForRoom();
  bool MoveTunnel();
  bool Discard();
  // Ends the connection with a reset behind what was written, which a reset at once would drop.
  void Break();
  void BeginExchange();
  void FinishExchange();
  void WriteRecord();
  void ReleaseUpstream(bool reusable);
  // Whether another downstream connection may have the upstream after us; if so, it is given away.
  bool GiveUpstreamAway();
  void EndConnection(bool client_may_send);
  // Ends exchange and connection at once; the client sees that something broke.
  void Abort(access_log::Flag flag);
  void Close(bool reset);

  // --- request_side.cc ---
  void RejectHead(const http::ParseResult& result);
  void Serve(const http::RequestHead& head);
  // Max-Forwards (RFC 9110, 7.6.2). False: it was answered instead.
  bool MayGoFurther(const http::RequestHead& head);
  void NoteForwarding(const trust::Forwarding& plan);
  void KeepHead(std::string_view text);
  bool WriteUpstreamHead(const http::RequestHead& head, const trust::Forwarding& plan);
  void ObtainUpstream();
  // Waits for one of a limited number of connections, or refuses the request.
  void AwaitPlace();
  void OnPlace() override;
  void OnWaitTimeout() override;
  void ConnectUpstream();
  void ConnectFailed(bool timed_out);
  bool MoveRequest();
  bool ReadRequestBody();
  Io ReadBodyBytes();
  // The client went in the middle of its request. Always true.
  bool BreakOff();
  bool SendRequest();
  // All of it is with upstream's kernel.
  bool RequestSent() const;
  // Answers the request ourselves. `body` is for people.
  void Reply(int status, std::string_view body);
  void BeginReply();  // the exchange becomes ours to answer
  void EndReply(int status);

  // --- route_side.cc: gateways ---
  // Decides where the request goes. False: it was answered instead.
  bool ChooseDestination(const http::RequestHead& head, const trust::Resolution& resolution);
  bool ChooseEndpoint(uint32_t cluster, const snapshot::RoutedRequest& request);
  // For a client without the cookie; gives what to hash.
  uint64_t MakeCookie(const snapshot::LoadBalancing& balancing);
  void CountEndpoint(EndpointState* state);  // as under way, in place of the one before
  void ReportEndpoint(int status);           // 0: no answer
  bool GoToAnother();                        // endpoint of the cluster; false: there is none
  void AnswerFromRoute(const snapshot::RoutedRequest& request);
  // The route's timeouts. KeepTime: false if one ran out, and the exchange took another way.
  void StartClock();
  void TimeConnect();
  void TimeResponse();
  bool KeepTime();
  void TryTimedOut();
  std::chrono::milliseconds TimeLeft() const;
  // The route's retries, for a cause of RetryPolicy's.
  bool MayTryAgain() const;
  bool MayTryAgain(uint8_t cause) const;
  void TryAgain();
  // Copies what waits to be sent into the part that can be sent again.
  void KeepBody();

  // --- response_side.cc ---
  bool MoveResponse();
  bool ReadResponse();
  bool TakeResponseHead();
  bool TakeResponseBody();
  bool SendResponse();
  void WriteInterim(const http::ResponseHead& head);
  bool WriteResponseHead(const http::ResponseHead& head);
  // Upstream ended or broke before the response was complete.
  void ResponseEnded();
  void BadResponse(std::string_view reason);
  bool ResponseFinished() const;

  Context& context_;
  Downstream& downstream_;
  Phase phase_ = Phase::kHead;
  bool unparsed_ = true;     // bytes came since the last attempt at a head
  bool head_began_ = false;  // the header timeout runs
  uint32_t requests_ = 0;
  http::HeadProgress head_progress_;
  std::unique_ptr<Exchange> exchange_;
  std::unique_ptr<Upstream> upstream_;
  std::unique_ptr<PendingRequests::Wait> wait_;  // of the exchange, which has no upstream then
  std::unique_ptr<Relay> tunnel_;
};

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_HTTP_SESSION_H_
