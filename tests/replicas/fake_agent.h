// An agent as far as a control plane sees one: a delta stream that acknowledges what it gets.
#ifndef WHENCE_TESTS_REPLICAS_FAKE_AGENT_H_
#define WHENCE_TESTS_REPLICAS_FAKE_AGENT_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "envoy/service/discovery/v3/discovery.grpc.pb.h"
#include "whence/v1/resources.pb.h"

namespace whence {

// Thread-safe but for Connect and Break.
class FakeAgent {
 public:
  struct View {
    v1::WorkloadBundle bundle;
    int bundles = 0;                          // received, over this stream
    int answers = 0;                          // to anything at all
    std::map<std::string, std::string> sets;  // name -> version, of those that are whole
    std::optional<grpc::Status> ended;
  };

  FakeAgent(std::string id, std::string role, std::string address)
      : id_(std::move(id)), role_(std::move(role)), address_(std::move(address)) {}
  ~FakeAgent() { Break(); }

  // Opens a stream with the versions of before, if there were any.
  void Connect(const std::string& target);
  // Ends it without a farewell, as a broken connection does.
  void Break();
  // In good order.
  void Leave();

  View view() const;
  // Up to 30 s.
  bool WaitFor(const std::function<bool(const View&)>& condition) const;
  // False: a bundle came although nothing changed. Everything that had been sent before is seen: a
  // name that does not exist is asked for, and its answer comes after it.
  bool GotNoBundle();

 private:
  using Stream = grpc::ClientReaderWriter<envoy::service::discovery::v3::DeltaDiscoveryRequest,
                                          envoy::service::discovery::v3::DeltaDiscoveryResponse>;
  void Read();
  void Send(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);

  const std::string id_, role_, address_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<Stream> stream_;
  std::thread reader_;
  std::mutex write_mutex_;
  mutable std::mutex mutex_;
  View view_;                                    // by mutex_
  std::map<std::string, std::string> versions_;  // by mutex_; of bundles
  std::set<std::string> asked_;                  // by mutex_; sets
};

}  // namespace whence

#endif  // WHENCE_TESTS_REPLICAS_FAKE_AGENT_H_
