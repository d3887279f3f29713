#include "controlplane/etcd/packs.h"

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace whence::etcd {
namespace {

// Of one transaction that reads pieces: etcd takes 128 operations, and an answer should not be
// huge.
constexpr size_t kReadsAtOnce = 100;
constexpr size_t kBytesAtOnce = 16 << 20;

std::string NewId(uint64_t revision) {
  std::random_device random;
  return absl::StrFormat("%016x-%08x%08x", revision, random(), random());
}

std::string PackPrefix(const Client& client, const std::string& id) {
  return client.Key(absl::StrCat("pack/", id, "/"));
}

std::string PieceKey(const Client& client, const std::string& id, uint64_t number) {
  return absl::StrCat(PackPrefix(client, id), absl::Hex(number, absl::kZeroPad8));
}

std::string PendingKey(const Client& client, const std::string& id) {
  return client.Key(absl::StrCat("pending/", id));
}

absl::Status Lost(const std::string& what) {
  return absl::DataLossError(absl::StrCat("etcd's ", what, " is missing or damaged"));
}

// Key of a piece -> its bytes.
using Pieces = std::map<std::string, std::string>;

absl::Status Fetch(Client& client, const std::vector<std::string>& keys, Pieces* pieces) {
  etcdserverpb::TxnRequest txn;
  for (const std::string& key : keys) txn.add_success()->mutable_request_range()->set_key(key);
  absl::StatusOr<etcdserverpb::TxnResponse> response = client.Txn(txn);
  if (!response.ok()) return response.status();
  for (size_t i = 0; i < keys.size(); ++i) {
    const int index = static_cast<int>(i);
    if (index >= response->responses_size() ||
        response->responses(index).response_range().kvs_size() != 1) {
      return Lost(keys[i]);
    }
    auto* range = response->mutable_responses(index)->mutable_response_range();
    (*pieces)[keys[i]] = std::move(*range->mutable_kvs(0)->mutable_value());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> Assemble(const Client& client, const v1::PackRef& ref,
                                     const Pieces& pieces) {
  std::string bytes;
  bytes.reserve(ref.size());
  for (uint64_t at = ref.offset(); at < ref.offset() + ref.size();) {
    const std::string key = PieceKey(client, ref.pack(), at / kPieceBytes);
    const std::string& piece = pieces.at(key);
    const size_t begin = at % kPieceBytes;
    const size_t wanted = std::min<uint64_t>(ref.offset() + ref.size() - at, kPieceBytes - begin);
    if (begin + wanted > piece.size()) return Lost(key);
    bytes.append(piece, begin, wanted);
    at += wanted;
  }
  if (DigestOf(bytes) != ref.digest()) return Lost(PackPrefix(client, ref.pack()));
  return bytes;
}

}  // namespace

std::string DigestOf(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return std::string(reinterpret_cast<const char*>(digest.data()), 16);
}

bool SameBytes(const v1::PackRef& a, const v1::PackRef& b) {
  return a.size() == b.size() && a.digest() == b.digest();
}

PackWriter::PackWriter(uint64_t revision) : id_(NewId(revision)) {}

v1::PackRef PackWriter::Add(std::string_view bytes) {
  v1::PackRef ref;
  ref.set_pack(id_);
  ref.set_offset(bytes_.size());
  ref.set_size(bytes.size());
  ref.set_digest(DigestOf(bytes));
  bytes_.append(bytes);
  return ref;
}

void PackWriter::PutInto(const Client& client, etcdserverpb::TxnRequest* txn) const {
  Put(PieceKey(client, id_, 0), bytes_, txn);
}

absl::Status PackWriter::WriteAhead(Client& client, WallTime now) const {
  v1::PendingPack pending;
  pending.set_time_us(now.time_since_epoch().count());
  etcdserverpb::TxnRequest begin;
  Put(PendingKey(client, id_), pending.SerializeAsString(), &begin);
  absl::StatusOr<etcdserverpb::TxnResponse> response = client.Txn(begin);
  for (size_t at = 0; response.ok() && at < bytes_.size(); at += kPieceBytes) {
    etcdserverpb::TxnRequest txn;
    RequireThere(PendingKey(client, id_), &txn);
    Put(PieceKey(client, id_, at / kPieceBytes), bytes_.substr(at, kPieceBytes), &txn);
    response = client.Txn(txn);
    if (response.ok() && !response->succeeded()) {
      return absl::AbortedError("the commit took so long that another replica swept it away");
    }
  }
  return response.status();
}

void PackWriter::Settle(const Client& client, etcdserverpb::TxnRequest* txn) const {
  RequireThere(PendingKey(client, id_), txn);
  Delete(PendingKey(client, id_), txn);
}

void PackWriter::Drop(Client& client) const {
  etcdserverpb::TxnRequest txn;
  RequireThere(PendingKey(client, id_), &txn);
  Delete(PendingKey(client, id_), &txn);
  DeleteAllBelow(PackPrefix(client, id_), &txn);
  (void)client.Txn(txn);
}

absl::StatusOr<std::vector<std::string>> ReadPacks(Client& client,
                                                   const std::vector<v1::PackRef>& refs) {
  Pieces pieces;
  for (const v1::PackRef& ref : refs) {
    if (ref.size() == 0) continue;
    if (ref.size() > ref.offset() + ref.size()) return Lost(PackPrefix(client, ref.pack()));
    const uint64_t last = (ref.offset() + ref.size() - 1) / kPieceBytes;
    for (uint64_t piece = ref.offset() / kPieceBytes; piece <= last; ++piece) {
      pieces[PieceKey(client, ref.pack(), piece)];
    }
  }
  std::vector<std::string> batch;
  for (auto piece = pieces.begin(); piece != pieces.end();) {
    batch.push_back(piece->first);
    ++piece;
    const bool is_full = batch.size() == kReadsAtOnce || batch.size() * kPieceBytes >= kBytesAtOnce;
    if (!is_full && piece != pieces.end()) continue;
    if (absl::Status status = Fetch(client, batch, &pieces); !status.ok()) return status;
    batch.clear();
  }
  std::vector<std::string> values;
  values.reserve(refs.size());
  for (const v1::PackRef& ref : refs) {
    absl::StatusOr<std::string> bytes = Assemble(client, ref, pieces);
    if (!bytes.ok()) return bytes.status();
    values.push_back(*std::move(bytes));
  }
  return values;
}

absl::Status SweepPacks(Client& client, WallTime before) {
  const std::string prefix = client.Key("pending/");
  etcdserverpb::RangeRequest request;
  request.set_key(prefix);
  request.set_range_end(EndOf(prefix));
  absl::StatusOr<etcdserverpb::RangeResponse> found = client.Range(request);
  if (!found.ok()) return found.status();
  for (const mvccpb::KeyValue& kv : found->kvs()) {
    v1::PendingPack pending;
    if (pending.ParseFromString(kv.value()) &&
        pending.time_us() >= before.time_since_epoch().count()) {
      continue;
    }
    etcdserverpb::TxnRequest txn;
    RequireThere(kv.key(), &txn);
    Delete(kv.key(), &txn);
    DeleteAllBelow(PackPrefix(client, kv.key().substr(prefix.size())), &txn);
    absl::StatusOr<etcdserverpb::TxnResponse> swept = client.Txn(txn);
    if (!swept.ok()) return swept.status();
  }
  return absl::OkStatus();
}

}  // namespace whence::etcd
