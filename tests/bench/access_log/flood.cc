#include "tests/bench/access_log/flood.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/rpc_method.h>
#include <grpcpp/support/sync_stream.h>

#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <utility>

#include "dataplane/access_log/record_encoder.h"
#include "whence/v1/access_log.pb.h"

namespace whence::bench {
namespace {

using access_log::Text;

constexpr uint64_t kBatch = 500;
constexpr uint64_t kWindow = 8;

net::IpAddress V4(uint32_t address) { return net::IpAddress::FromV4(address); }

int64_t NowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void Raise(int64_t value, std::atomic<int64_t>* highest) {
  int64_t seen = highest->load(std::memory_order_relaxed);
  while (value > seen && !highest->compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

grpc::ByteBuffer Request(const std::string& boot, uint64_t first_seq, const std::string& records) {
  const std::string head = access_log::BatchHead(boot, first_seq);
  const std::string outer = access_log::RequestHead(head.size() + records.size());
  const grpc::Slice slices[] = {grpc::Slice(outer), grpc::Slice(head), grpc::Slice(records)};
  return grpc::ByteBuffer(slices, 3);
}

}  // namespace

const access_log::Record& Records::Next(int64_t time_us) {
  const uint64_t r = random_();
  const auto client = static_cast<uint32_t>((r & 4095) == 0 ? 0xc6336400u | (r >> 12 & 255)
                                                            : 0x0b000000u | (r >> 12 & 0xfffff));
  record_ = access_log::Record();
  record_.time_us = time_us;
  record_.protocol = access_log::Protocol::kHttp11;
  record_.client_address = record_.external_address = record_.upstream_source = V4(client);
  record_.direct_peer = V4(0x0a800036);  // 10.128.0.54
  record_.direct_peer_port = static_cast<uint16_t>(32768 + (r >> 32 & 16383));
  record_.destination_address = V4(0x0a2001cd);
  record_.destination_port = 8080;
  record_.status = 200;
  record_.bytes_in = 420 + (r >> 40 & 255);
  record_.bytes_out = 1200 + (r >> 48 & 4095);
  record_.duration_us = 300 + (r >> 52 & 4095);
  record_.Set(Text::kReason, "xff-hop-2");
  record_.Set(Text::kMethod, "GET");
  record_.Set(Text::kHost, "shop.example.com");
  char text[64];
  int size = std::snprintf(text, sizeof text, "/api/v1/items/%u", static_cast<unsigned>(r % 30));
  record_.Set(Text::kPath, {text, static_cast<size_t>(size)});
  size = std::snprintf(text, sizeof text, "%u.%u.%u.%u, 10.128.0.9", client >> 24,
                       client >> 16 & 255, client >> 8 & 255, client & 255);
  record_.Set(Text::kForwardedFor, {text, static_cast<size_t>(size)});
  const uint64_t q = random_();
  size = std::snprintf(
      text, sizeof text, "%08x-%04x-4%03x-a%03x-%012llx", static_cast<unsigned>(q >> 32),
      static_cast<unsigned>(q & 0xffff), static_cast<unsigned>(q >> 16 & 0xfff),
      static_cast<unsigned>(q >> 28 & 0xfff), static_cast<unsigned long long>(r & 0xffffffffffff));
  record_.Set(Text::kRequestId, {text, static_cast<size_t>(size)});
  if (r % 20 == 0) {
    record_.decision = access_log::Decision::kDeny;
    record_.status = 403;
    record_.Set(Text::kPolicy, "shop/deny-clients");
  }
  return record_;
}

bool Flood(const std::string& target, uint32_t agent, uint64_t records, Progress* progress) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("bench.agent", static_cast<int>(agent));  // a connection of its own
  auto channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  grpc::ClientContext context;
  // Bytes go out as they are: what it costs to make them into messages is no agent's cost.
  const grpc::internal::RpcMethod method("/whence.v1.AccessLogIngest/Stream", nullptr,
                                         grpc::internal::RpcMethod::BIDI_STREAMING);
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, v1::IngestResponse>> stream(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, v1::IngestResponse>::Create(
          channel.get(), method, &context));
  v1::IngestRequest hello;
  hello.mutable_hello()->set_agent("shop/web-" + std::to_string(agent));
  hello.mutable_hello()->set_node("node-" + std::to_string(agent % 3));
  hello.mutable_hello()->set_role(v1::SIDECAR);
  const grpc::Slice slice(hello.SerializeAsString());
  if (!stream->Write(grpc::ByteBuffer(&slice, 1))) return false;
  const std::string boot = "boot-" + std::to_string(agent);
  Records source(agent + 1);
  uint64_t sent = 0, acked = 0;
  std::deque<std::pair<uint64_t, int64_t>> under_way;  // last sequence number, when it was sent
  std::string bytes;
  v1::IngestResponse response;
  while (acked < records) {
    if (sent < records && sent - acked < kWindow * kBatch) {
      const uint64_t count = std::min(kBatch, records - sent);
      bytes.clear();
      const int64_t now = NowMicros();
      for (uint64_t i = 0; i < count; ++i) access_log::AppendRecord(source.Next(now), &bytes);
      if (!stream->Write(Request(boot, sent + 1, bytes))) return false;
      sent += count;
      under_way.emplace_back(sent, now);
      continue;
    }
    if (!stream->Read(&response)) return false;
    progress->acknowledged.fetch_add(response.last_seq() - acked, std::memory_order_relaxed);
    acked = response.last_seq();
    while (!under_way.empty() && under_way.front().first <= acked) {
      Raise(NowMicros() - under_way.front().second, &progress->slowest_us);
      under_way.pop_front();
    }
  }
  stream->WritesDone();
  return stream->Finish().ok();
}

}  // namespace whence::bench
