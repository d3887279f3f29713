#include "tests/replicas/fake_agent.h"

#include <utility>

#include "tests/lab/wait.h"

namespace whence {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;

constexpr char kBundle[] = "type.googleapis.com/whence.v1.WorkloadBundle";
constexpr char kIpSet[] = "type.googleapis.com/whence.v1.IpSetResource";

}  // namespace

void FakeAgent::Connect(const std::string& target) {
  Break();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetMaxReceiveMessageSize(-1);
  auto channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  context_ = std::make_unique<grpc::ClientContext>();
  context_->set_wait_for_ready(true);
  auto stub = AggregatedDiscoveryService::NewStub(channel);
  DeltaDiscoveryRequest request;
  request.mutable_node()->set_id(id_);
  auto& fields = *request.mutable_node()->mutable_metadata()->mutable_fields();
  fields["role"].set_string_value(role_);
  fields["addresses"].mutable_list_value()->add_values()->set_string_value(address_);
  request.set_type_url(kBundle);
  request.add_resource_names_subscribe(id_);
  {
    std::lock_guard lock(mutex_);
    view_.bundles = view_.answers = 0;
    view_.ended.reset();
    asked_.clear();
    request.mutable_initial_resource_versions()->insert(versions_.begin(), versions_.end());
  }
  stream_ = stub->DeltaAggregatedResources(context_.get());
  Send(request);
  reader_ = std::thread([this] { Read(); });
}

void FakeAgent::Break() {
  if (!reader_.joinable()) return;
  context_->TryCancel();
  reader_.join();
}

void FakeAgent::Leave() {
  {
    std::lock_guard lock(write_mutex_);
    stream_->WritesDone();
  }
  reader_.join();
}

void FakeAgent::Send(const DeltaDiscoveryRequest& request) {
  std::lock_guard lock(write_mutex_);
  stream_->Write(request);
}

void FakeAgent::Read() {
  DeltaDiscoveryResponse response;
  while (stream_->Read(&response)) {
    DeltaDiscoveryRequest answer;
    answer.set_type_url(response.type_url());
    answer.set_response_nonce(response.nonce());
    DeltaDiscoveryRequest wish;
    wish.set_type_url(kIpSet);
    {
      std::lock_guard lock(mutex_);
      for (const auto& resource : response.resources()) {
        if (response.type_url() == kBundle) {
          resource.resource().UnpackTo(&view_.bundle);
          versions_[resource.name()] = resource.version();
          ++view_.bundles;
          for (const std::string& set : view_.bundle.ip_sets()) {
            if (asked_.insert(set).second) wish.add_resource_names_subscribe(set);
          }
        } else {
          v1::IpSetResource set;
          resource.resource().UnpackTo(&set);
          if (!set.more()) view_.sets[resource.name()] = resource.version();
        }
      }
    }
    Send(answer);
    if (wish.resource_names_subscribe_size() > 0) Send(wish);
    std::lock_guard lock(mutex_);
    ++view_.answers;
  }
  grpc::Status status = stream_->Finish();
  std::lock_guard lock(mutex_);
  view_.ended = status;
}

FakeAgent::View FakeAgent::view() const {
  std::lock_guard lock(mutex_);
  return view_;
}

bool FakeAgent::WaitFor(const std::function<bool(const View&)>& condition) const {
  return lab::WaitUntil([&] { return condition(view()); }, std::chrono::seconds(30));
}

bool FakeAgent::GotNoBundle() {
  const int answers = view().answers;
  DeltaDiscoveryRequest request;
  request.set_type_url(kIpSet);
  request.add_resource_names_subscribe("no/such-set");
  Send(request);
  const bool answered = WaitFor([&](const View& view) { return view.answers > answers; });
  return answered && view().bundles == 0;
}

}  // namespace whence
