#include "tests/bench/agents/herd.h"

#include <algorithm>
#include <random>

#include "dataplane/rpc/backoff.h"
#include "envoy/service/discovery/v3/discovery.pb.h"

namespace whence::bench {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;
using std::chrono::milliseconds;

constexpr char kMethod[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
constexpr char kBundle[] = "type.googleapis.com/whence.v1.WorkloadBundle";
// As whence-agent.
constexpr milliseconds kFirstDelay{500}, kLongestDelay{30'000};
constexpr milliseconds kSlowness{500};

grpc::ByteBuffer Encode(const DeltaDiscoveryRequest& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace

// Every method runs on the herd's thread.
class Herd::Agent {
 public:
  enum class Pace { kQuick, kSlow, kStopped };
  enum class Step { kStarted, kRead, kWritten, kFinished, kOpen, kAnswer };
  struct Event {
    Agent* agent;
    Step step;
  };

  Agent(Herd& herd, grpc::GenericStub& stub, size_t number, Pace pace)
      : herd_(herd),
        stub_(stub),
        number_(number),
        name_("agent-" + std::to_string(number)),
        space_("space-" + std::to_string(number % herd.options_.workloads % 50)),
        pace_(pace),
        random_(static_cast<uint32_t>(number)) {}

  void Open() {
    context_ = std::make_unique<grpc::ClientContext>();
    stream_ = stub_.PrepareCall(context_.get(), kMethod, &herd_.queue_);
    ++open_operations_;
    stream_->StartCall(&started_);
  }
  void Cancel() {
    if (context_) context_->TryCancel();
    back_off_.Cancel();
    slowness_.Cancel();
  }
  void On(Step step, bool ok);

 private:
  void Send(const DeltaDiscoveryRequest& request) {
    writing_ = true;
    ++open_operations_;
    stream_->Write(Encode(request), &written_);
  }
  void Read() {
    ++open_operations_;
    stream_->Read(&response_, &read_);
  }
  void Introduce();
  void Take();
  void Answer();
  void FinishWhenIdle();
  void Reopen();

  Herd& herd_;
  grpc::GenericStub& stub_;
  const size_t number_;
  const std::string name_, space_;
  const Pace pace_;
  std::minstd_rand random_;
  rpc::Backoff backoff_{kFirstDelay, kLongestDelay};

  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer response_;
  grpc::Status status_;
  grpc::Alarm back_off_, slowness_;
  int open_operations_ = 0;
  bool writing_ = false;
  bool is_answer_due_ = false;
  bool ended_ = false;
  bool finishing_ = false;
  std::string nonce_;      // to be answered
  uint64_t revision_ = 0;  // of what is to be answered
  uint64_t counted_ = 0;   // newest that was answered
  std::string version_;    // of the bundle

  Event started_{this, Step::kStarted}, read_{this, Step::kRead}, written_{this, Step::kWritten},
      finished_{this, Step::kFinished}, open_{this, Step::kOpen}, answer_{this, Step::kAnswer};
};

void Herd::Agent::Introduce() {
  const std::string id = space_ + "/" + name_;
  DeltaDiscoveryRequest request;
  request.mutable_node()->set_id(id);
  auto& fields = *request.mutable_node()->mutable_metadata()->mutable_fields();
  fields["role"].set_string_value(number_ < 3 ? "gateway" : "sidecar");
  fields["interception"].set_string_value("tproxy");
  auto& labels = *fields["labels"].mutable_struct_value()->mutable_fields();
  labels["app"].set_string_value("app-" + std::to_string(number_ % herd_.options_.workloads));
  labels["version"].set_string_value("v1");
  fields["addresses"].mutable_list_value()->add_values()->set_string_value(
      "10." + std::to_string(number_ >> 16) + "." + std::to_string(number_ >> 8 & 255) + "." +
      std::to_string(number_ & 255));
  request.set_type_url(kBundle);
  request.add_resource_names_subscribe(id);
  if (!version_.empty()) (*request.mutable_initial_resource_versions())[id] = version_;
  Send(request);
}

void Herd::Agent::On(Step step, bool ok) {
  if (step == Step::kOpen) {
    if (ok) Open();
    return;
  }
  if (step == Step::kAnswer) {
    is_answer_due_ = false;
    if (ok && stream_ && !ended_ && !writing_ && !nonce_.empty()) Answer();
    return;
  }
  if (step == Step::kFinished) return Reopen();
  --open_operations_;
  if (step == Step::kWritten) writing_ = false;
  if (!ok) {
    ended_ = true;
  } else if (step == Step::kStarted) {
    Introduce();
    Read();
  } else if (step == Step::kRead) {
    Take();
    if (pace_ != Pace::kStopped) Read();
  } else if (!nonce_.empty() && !is_answer_due_) {
    Answer();
  }
  FinishWhenIdle();
}

void Herd::Agent::Take() {
  std::vector<grpc::Slice> slices;
  (void)response_.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  DeltaDiscoveryResponse response;
  if (!response.ParseFromString(bytes)) std::abort();
  backoff_.Reset();
  for (const auto& resource : response.resources()) version_ = resource.version();
  nonce_ = response.nonce();
  revision_ = std::stoull(response.system_version_info());
  if (pace_ == Pace::kSlow) {
    // One that is set already, for a stream that ended, does for this one.
    if (std::exchange(is_answer_due_, true)) return;
    slowness_.Set(&herd_.queue_, std::chrono::system_clock::now() + kSlowness, &answer_);
  } else if (!writing_) {
    Answer();
  }
}

void Herd::Agent::Answer() {
  DeltaDiscoveryRequest request;
  request.set_type_url(kBundle);
  request.set_response_nonce(std::exchange(nonce_, {}));
  Send(request);
  if (pace_ == Pace::kQuick && revision_ > counted_) herd_.Answered(counted_ = revision_);
}

void Herd::Agent::FinishWhenIdle() {
  if (!ended_ || open_operations_ > 0 || finishing_) return;
  finishing_ = true;
  stream_->Finish(&status_, &finished_);
}

void Herd::Agent::Reopen() {
  stream_.reset();
  context_.reset();
  nonce_.clear();
  ended_ = finishing_ = false;
  const bool was_deferred = status_.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
  (was_deferred ? herd_.deferred_ : herd_.broken_).fetch_add(1);
  const double jitter = std::uniform_real_distribution<double>(0, 1)(random_);
  back_off_.Set(&herd_.queue_, std::chrono::system_clock::now() + backoff_.Next(jitter), &open_);
}

Herd::Herd(const std::string& address, HerdOptions options) : options_(options) {
  for (size_t i = 0; i < options_.connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
    stubs_.push_back(std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments)));
  }
  for (size_t i = 0; i < options_.agents; ++i) {
    const Agent::Pace pace = i >= options_.agents - options_.stopped ? Agent::Pace::kStopped
                             : i >= quick()                          ? Agent::Pace::kSlow
                                                                     : Agent::Pace::kQuick;
    agents_.push_back(std::make_unique<Agent>(*this, *stubs_[i % options_.connections], i, pace));
  }
  thread_ = std::thread([this] { Run(); });
}

Herd::~Herd() {
  stop_.Set(&queue_, std::chrono::system_clock::now(), nullptr);
  thread_.join();
}

void Herd::Run() {
  for (auto& agent : agents_) agent->Open();
  void* tag;
  bool ok;
  bool stopping = false;
  // Once it is shut down, the queue gives the events of what was begun before, and ends.
  while (queue_.Next(&tag, &ok)) {
    const auto* event = static_cast<const Agent::Event*>(tag);
    if (event == nullptr) {
      stopping = true;
      for (auto& agent : agents_) agent->Cancel();
      queue_.Shutdown();
    } else if (!stopping) {
      event->agent->On(event->step, ok);
    }
  }
}

void Herd::Expect(uint64_t revision) {
  std::lock_guard lock(mutex_);
  revision_ = revision;
  since_ = std::chrono::steady_clock::now();
  latencies_.clear();
}

void Herd::Answered(uint64_t revision) {
  std::lock_guard lock(mutex_);
  if (revision != revision_) return;
  latencies_.push_back(std::chrono::steady_clock::now() - since_);
  if (latencies_.size() == quick()) answered_.notify_all();
}

bool Herd::WaitForAnswers(std::chrono::seconds limit) {
  std::unique_lock lock(mutex_);
  return answered_.wait_for(lock, limit, [this] { return latencies_.size() >= quick(); });
}

Latencies Herd::latencies() const {
  std::lock_guard lock(mutex_);
  Latencies sorted = latencies_;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace whence::bench
