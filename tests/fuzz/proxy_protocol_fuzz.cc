// PROXY protocol. Invariants: an answer, once given, holds for every longer prefix, so that no
// split of the bytes changes it; what was parsed and is written again parses to the same; a version
// that is not allowed is never payload.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/proxy_protocol/formatter.h"
#include "common/proxy_protocol/handover.h"
#include "common/proxy_protocol/parser.h"
#include "common/proxy_protocol/tlv_text.h"

namespace {

using namespace whence::proxy_protocol;

#define REQUIRE(condition) \
  if (!(condition)) std::abort()

bool Same(const Header& a, const Header& b) {
  return a.version == b.version && a.bytes == b.bytes && a.has_addresses == b.has_addresses &&
         a.is_ipv6 == b.is_ipv6 && a.source == b.source && a.destination == b.destination &&
         a.tlvs == b.tlvs;
}

// Every prefix is undecided or answers as the whole.
void CheckSplits(std::string_view bytes, const ParseOptions& options, const ParseResult& whole,
                 const Header& header) {
  bool decided = false;
  for (size_t size = 0; size <= bytes.size(); ++size) {
    Header part;
    const ParseResult result = Parse(bytes.substr(0, size), options, &part);
    if (result.status == ParseStatus::kNeedMore) {
      REQUIRE(!decided);
      continue;
    }
    decided = true;
    REQUIRE(result.status == whole.status && result.reason == whole.reason);
    REQUIRE(Same(part, header));
  }
  REQUIRE(decided == (whole.status != ParseStatus::kNeedMore));
}

std::vector<Tlv> TlvsOf(const Header& header) {
  std::vector<Tlv> tlvs;
  TlvReader reader(header.tlvs);
  while (const auto tlv = reader.Next()) tlvs.push_back(*tlv);
  REQUIRE(reader.complete());
  return tlvs;
}

// `header` in both versions, with and without a checksum, and back.
void CheckRoundTrip(const Header& header) {
  std::optional<Addresses> addresses;
  if (header.has_addresses) addresses = Addresses{header.source, header.destination};
  std::vector<Tlv> tlvs = TlvsOf(header);
  std::erase_if(tlvs, [](const Tlv& tlv) { return tlv.type == kTlvCrc32c; });
  std::string memory(kMaxV2Bytes, '\0');
  const auto expect = [&](const std::optional<size_t>& size, size_t own_tlvs) {
    REQUIRE(size);
    Header again;
    REQUIRE(Parse({memory.data(), *size}, {}, &again).status == ParseStatus::kDone);
    REQUIRE(again.bytes == *size && again.has_addresses == header.has_addresses);
    REQUIRE(again.source == header.source && again.destination == header.destination);
    if (again.version == 1) return;
    std::vector<Tlv> got = TlvsOf(again);
    REQUIRE(got.size() == (header.has_addresses ? tlvs.size() + own_tlvs : 0));
    for (size_t i = 0; i < got.size() - own_tlvs && i < tlvs.size(); ++i) {
      REQUIRE(got[i] == tlvs[i]);
    }
  };
  expect(FormatV1(addresses, memory), 0);
  expect(FormatV2(addresses, tlvs, Checksum::kNone, memory), 0);
  if (addresses) expect(FormatV2(addresses, tlvs, Checksum::kCrc32c, memory), 1);
}

// A proof that was made for these addresses counts behind any other TLVs, a foreign one never; the
// text for the log is plain.
void CheckTlvs(const Header& header) {
  const Handover handover{Spoken::kByClient, header.source, header.destination, header.source};
  const HandoverKey key = DeriveKey("secret", "ns/name");
  REQUIRE(Verify(key, handover, header.tlvs) == std::nullopt);
  std::vector<Tlv> tlvs = TlvsOf(header);
  std::erase_if(tlvs,
                [](const Tlv& tlv) { return tlv.type == kTlvCrc32c || tlv.type == kTlvHandover; });
  const HandoverProof proof = Prove(key, handover);
  tlvs.push_back({kTlvHandover, {proof.data(), proof.size()}});
  std::string memory(kMaxV2Bytes, '\0');
  const auto size =
      FormatV2(Addresses{header.source, header.destination}, tlvs, Checksum::kNone, memory);
  Header again;
  if (size) {
    REQUIRE(Parse({memory.data(), *size}, {}, &again).status == ParseStatus::kDone);
    REQUIRE(Verify(key, handover, again.tlvs) == Spoken::kByClient);
    REQUIRE(Verify(DeriveKey("secret", "ns/other"), handover, again.tlvs) == std::nullopt);
  }
  for (const char c : TlvText(header.tlvs)) REQUIRE(c > ' ' && c < 0x7f);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // The first byte chooses the options; two of its bits spare the fuzzer a signature.
  const uint8_t mode = data[0];
  std::string bytes;
  if (mode & 0x10) bytes = kSignatureV1;
  if (mode & 0x20) bytes = kSignatureV2;
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);
  const ParseOptions options{.allow_missing = (mode & 1) != 0,
                             .allow_v1 = (mode & 2) == 0,
                             .allow_v2 = (mode & 4) == 0,
                             .max_bytes = (mode & 8) ? 256 : kMaxV2Bytes - 64};
  Header header;
  const ParseResult result = Parse(bytes, options, &header);
  CheckSplits(bytes, options, result, header);
  if (result.status == ParseStatus::kAbsent) {
    REQUIRE(!bytes.starts_with(kSignatureV1) && !bytes.starts_with(kSignatureV2));
  }
  if (result.status != ParseStatus::kDone) return 0;
  REQUIRE(header.bytes <= bytes.size() && header.bytes <= options.max_bytes + kMaxV1Bytes);
  REQUIRE(header.version == 1 ? options.allow_v1 : options.allow_v2);
  CheckRoundTrip(header);
  if (header.has_addresses) CheckTlvs(header);
  return 0;
}
