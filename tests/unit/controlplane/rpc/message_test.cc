#include "controlplane/rpc/message.h"

#include <gtest/gtest.h>

#include "envoy/service/discovery/v3/discovery.pb.h"

namespace whence::rpc {
namespace {

using envoy::service::discovery::v3::DeltaDiscoveryRequest;
using envoy::service::discovery::v3::DeltaDiscoveryResponse;

// In slices of `step` bytes, with an empty one between.
grpc::ByteBuffer Buffer(const std::string& bytes, size_t step) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += step) {
    slices.emplace_back(bytes.substr(at, step));
    slices.emplace_back();
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Node.metadata > Struct.fields > Value.struct_value > …
std::string Nested(int depth) {
  DeltaDiscoveryRequest request;
  google::protobuf::Struct* level = request.mutable_node()->mutable_metadata();
  for (int i = 0; i < depth; ++i) {
    level = (*level->mutable_fields())["x"].mutable_struct_value();
  }
  return request.SerializeAsString();
}

TEST(ReadMessageTest, ReadsAcrossSlices) {
  DeltaDiscoveryRequest sent;
  sent.mutable_node()->set_id("shop/web");
  for (int i = 0; i < 50; ++i) sent.add_resource_names_subscribe("name-" + std::to_string(i));
  const std::string bytes = sent.SerializeAsString();
  for (size_t step : {size_t{1}, size_t{7}, bytes.size()}) {
    DeltaDiscoveryRequest read;
    ASSERT_TRUE(ReadMessage(Buffer(bytes, step), bytes.size(), &read).ok());
    EXPECT_EQ(read.SerializeAsString(), bytes);
  }
  DeltaDiscoveryRequest empty;
  EXPECT_TRUE(ReadMessage(grpc::ByteBuffer(), 0, &empty).ok());
}

TEST(ReadMessageTest, RefusesWhatIsTooLargeTooDeepOrNoMessage) {
  struct Row {
    const char* name;
    std::string bytes;
    size_t limit;
    absl::StatusCode want;
  };
  const Row rows[] = {
      {"one byte over", std::string("\x12\x03typ", 5), 4, absl::StatusCode::kResourceExhausted},
      {"at the limit", std::string("\x12\x03typ", 5), 5, absl::StatusCode::kOk},
      {"cut off", std::string("\x12\x05typ", 5), 100, absl::StatusCode::kInvalidArgument},
      {"a length of 2 GB", std::string("\x12\xff\xff\xff\xff\x07x", 7), 100,
       absl::StatusCode::kInvalidArgument},
      {"no UTF-8 where text must be", std::string("\x12\x01\xff", 3), 100,
       absl::StatusCode::kInvalidArgument},
      {"nested 20 deep", Nested(20), 1 << 20, absl::StatusCode::kOk},
      {"nested 1000 deep", Nested(1000), 1 << 20, absl::StatusCode::kInvalidArgument},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    DeltaDiscoveryRequest request;
    const absl::Status status = ReadMessage(Buffer(row.bytes, 3), row.limit, &request);
    EXPECT_EQ(status.code(), row.want) << status;
    if (!status.ok()) {
      EXPECT_NE(status.message().find("DeltaDiscoveryRequest"), absl::string_view::npos);
    }
  }
}

TEST(MessageWriterTest, WritesWhatProtobufReadsAndSharesWhatIsLarge) {
  auto large = std::make_shared<const std::string>(5000, 'x');
  auto small = std::make_shared<const std::string>("small");
  MessageWriter writer;
  for (const auto& value : {large, small}) {
    std::string any, start;
    AddFieldStart(2, value->size(), &any);
    AddFieldStart(2, FieldSize(2, any.size() + value->size()), &start);
    AddFieldStart(2, any.size() + value->size(), &start);
    writer.Add(start + any);
    writer.Add(value);
  }
  std::string end;
  AddField(4, "type", &end);
  writer.Add(end);
  const grpc::ByteBuffer buffer = writer.Take();
  EXPECT_GT(large.use_count(), 1);  // not copied
  EXPECT_EQ(small.use_count(), 1);
  DeltaDiscoveryResponse response;
  ASSERT_TRUE(response.ParseFromString(Bytes(buffer)));
  ASSERT_EQ(response.resources_size(), 2);
  EXPECT_EQ(response.resources(0).resource().value(), *large);
  EXPECT_EQ(response.resources(1).resource().value(), *small);
  EXPECT_EQ(response.type_url(), "type");
  EXPECT_EQ(Bytes(writer.Take()), "");
}

TEST(MessageWriterTest, LetsGoOfTheBytesWithTheBuffer) {
  auto large = std::make_shared<const std::string>(5000, 'x');
  {
    MessageWriter writer;
    writer.Add(large);
    const grpc::ByteBuffer buffer = writer.Take();
  }
  EXPECT_EQ(large.use_count(), 1);
}

}  // namespace
}  // namespace whence::rpc
