#include "dataplane/access_log/record_encoder.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tests/unit/dataplane/access_log/messages.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {
namespace {

// IPv4 comes in its four bytes.
void Widen(std::string* address) {
  EXPECT_TRUE(address->empty() || address->size() == 4 || address->size() == 16);
  if (address->size() == 4) address->insert(0, std::string(10, 0) + "\xff\xff");
}

v1::IngestBatch Parse(const std::string& bytes) {
  v1::IngestBatch batch;
  EXPECT_TRUE(batch.ParseFromString(bytes));
  for (v1::AccessRecord& record : *batch.mutable_records()) {
    Widen(record.mutable_client_address());
    Widen(record.mutable_direct_peer());
    Widen(record.mutable_external_address());
    Widen(record.mutable_destination());
    Widen(record.mutable_upstream_source());
  }
  return batch;
}

// Every field at random: none, some, too much, any bytes.
Record RandomRecord(std::mt19937_64& random) {
  Record record;
  const auto address = [&random] {
    net::IpAddress::Bytes bytes{};
    if (random() % 3 == 0) return net::IpAddress();
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    return random() % 2 == 0 ? net::IpAddress::FromV6(bytes)
                             : net::IpAddress::FromV4(static_cast<uint32_t>(random()));
  };
  const auto number = [&random] { return random() >> (random() % 65 % 64); };
  record.time_us = static_cast<int64_t>(number() >> 1);
  record.client_address = address();
  record.direct_peer = address();
  record.external_address = address();
  record.destination_address = address();
  record.upstream_source = address();
  record.direct_peer_port = static_cast<uint16_t>(number());
  record.destination_port = static_cast<uint16_t>(number());
  record.status = static_cast<uint16_t>(number());
  record.bytes_in = number();
  record.bytes_out = number();
  record.duration_us = number();
  record.flags = static_cast<uint32_t>(random()) & 0x1ffff;
  record.protocol = static_cast<Protocol>(random() % 3);
  record.decision = static_cast<Decision>(random() % 3);
  for (size_t i = 0; i < kTextCount; ++i) {
    if (random() % 4 == 0) continue;
    std::string text(random() % (kTextLimits[i] + 20u), 0);
    for (char& c : text) c = static_cast<char>(random());
    record.Set(static_cast<Text>(i), text);
  }
  return record;
}

TEST(RecordEncoderTest, TheBytesAreThoseOfTheMessage) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 2000; ++i) {
    const Record record = RandomRecord(random);
    std::string bytes = BatchHead("boot", 7);
    AppendRecord(record, &bytes);
    AppendRecord(Record(), &bytes);
    v1::IngestBatch want;
    want.set_boot("boot");
    want.set_first_seq(7);
    *want.add_records() = ToMessage(record);
    *want.add_records() = ToMessage(Record());
    const v1::IngestBatch got = Parse(bytes);
    ASSERT_EQ(got.SerializeAsString(), want.SerializeAsString());
  }
}

TEST(RecordEncoderTest, ALongestRecordFits) {
  Record record;
  for (size_t i = 0; i < kTextCount; ++i) record.Set(static_cast<Text>(i), std::string(999, 'x'));
  record.flags = 0xffffffff;
  record.time_us = INT64_MAX;
  record.bytes_in = record.bytes_out = record.duration_us = UINT64_MAX;
  record.client_address = record.direct_peer = record.external_address =
      record.destination_address = record.upstream_source = net::IpAddress::FromV4(1);
  std::string bytes;
  AppendRecord(record, &bytes);
  EXPECT_EQ(Parse(bytes).records(0).SerializeAsString(), ToMessage(record).SerializeAsString());
}

TEST(RecordEncoderTest, GapsAndRequestsAreThoseOfTheMessages) {
  std::string bytes = BatchHead("b", 1);
  AppendGap(17, 300, "agent-killed", &bytes);
  v1::AccessRecord gap = GapMessage(17, 300);
  gap.set_flags("agent-killed");
  EXPECT_EQ(Parse(bytes).records(0).SerializeAsString(), gap.SerializeAsString());
  v1::IngestRequest request;
  ASSERT_TRUE(request.ParseFromString(RequestHead(bytes.size()) + bytes));
  EXPECT_EQ(request.batch().records(0).dropped(), 300u);
  EXPECT_EQ(request.batch().boot(), "b");
}

}  // namespace
}  // namespace whence::access_log
