#include "controlplane/ctl/ip_set_upload.h"

#include <set>
#include <utility>

#include "whence/v1/admin.grpc.pb.h"

namespace whence::ctl {
namespace {

// Smaller ones are sent whole: asking would be no quicker.
constexpr size_t kWorthAsking = 64 << 10;

void SetCidrs(net::PackedCidrs cidrs, v1::IpSetContent* upload) {
  upload->mutable_cidrs()->set_v4(std::move(cidrs.v4));
  upload->mutable_cidrs()->set_v6(std::move(cidrs.v6));
}

}  // namespace

v1::IpSetContent Upload(const NamedContent& set, const v1::IpSetDescription* known) {
  v1::IpSetContent upload;
  upload.set_namespace_(set.namespace_name);
  upload.set_name(set.name);
  upload.set_version(net::VersionOf(set.content));
  if (known) {
    const std::vector<uint64_t> ours = net::ChunkDigests(set.content);
    const std::set<uint64_t> our_set(ours.begin(), ours.end());
    const std::set<uint64_t> theirs(known->chunks().begin(), known->chunks().end());
    net::PackedCidrs fresh =
        net::TakeChunks(set.content, [&](size_t chunk) { return theirs.count(ours[chunk]) == 0; });
    if (fresh.bytes() < set.content.bytes() / 2) {
      upload.set_base_version(known->version());
      for (int i = 0; i < known->chunks_size(); ++i) {
        if (our_set.count(known->chunks(i)) == 0) {
          upload.add_dropped_chunks(static_cast<uint32_t>(i));
        }
      }
      SetCidrs(std::move(fresh), &upload);
      return upload;
    }
  }
  SetCidrs(set.content, &upload);
  return upload;
}

absl::StatusOr<std::optional<v1::IpSetDescription>> DescribeIpSet(const Session& session,
                                                                  const std::string& space,
                                                                  const std::string& name) {
  v1::DescribeIpSetRequest request;
  request.set_namespace_(space);
  request.set_name(name);
  v1::IpSetDescription description;
  grpc::ClientContext context;
  SetDeadline(context, kReadDeadline);
  grpc::Status status =
      v1::ConfigService::NewStub(session.channel)->DescribeIpSet(&context, request, &description);
  if (status.ok()) return description;
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) return std::nullopt;
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
}

grpc::Status SendApply(const Session& session, v1::ApplyRequest* request,
                       const std::vector<NamedContent>& contents, v1::ApplyResponse* response) {
  auto stub = v1::ConfigService::NewStub(session.channel);
  for (const bool whole : {false, true}) {
    request->clear_ip_sets();
    for (const NamedContent& set : contents) {
      std::optional<v1::IpSetDescription> known;
      if (!whole && set.content.bytes() >= kWorthAsking) {
        // Whether there is one, and whether we may ask, the Apply call will tell.
        if (auto described = DescribeIpSet(session, set.namespace_name, set.name); described.ok()) {
          known = *std::move(described);
        }
      }
      *request->add_ip_sets() = Upload(set, known ? &*known : nullptr);
    }
    response->Clear();
    grpc::ClientContext context;
    SetDeadline(context, kWriteDeadline);
    grpc::Status status = stub->Apply(&context, *request, response);
    if (!status.ok() || !response->send_whole_sets()) return status;
  }
  return grpc::Status::OK;
}

}  // namespace whence::ctl
