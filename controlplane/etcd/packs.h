// Bytes of any size in etcd, whose values must be small.
//
// A commit puts everything that it adds into one pack, one thing after the other, and refers to a
// thing by the pack's id, offset and size. The pack is stored in pieces, each a key of its own:
//
//   pack/000000000000002a-9f3c…/00000000   512 KiB
//   pack/000000000000002a-9f3c…/00000001   the rest
//
// An id is used once, so pieces never change. A pack of one piece is written by the transaction
// that commits it. A larger one is written before: first pending/ID, then the pieces, each on the
// condition that pending/ID is there; the commit takes pending/ID away. So what a writer that died
// has left is known, and who sweeps it takes pending/ID and the pieces away at once: the writer, if
// it lives after all, can write no more of it, and cannot commit it.
#ifndef WHENCE_CONTROLPLANE_ETCD_PACKS_H_
#define WHENCE_CONTROLPLANE_ETCD_PACKS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "controlplane/etcd/client.h"
#include "whence/v1/replica.pb.h"

namespace whence::etcd {

// etcd takes requests of up to 1.5 MiB unless told otherwise; a piece goes with a few small keys.
inline constexpr size_t kPieceBytes = 512 << 10;

// The first 16 bytes of the SHA-256.
std::string DigestOf(std::string_view bytes);

bool SameBytes(const v1::PackRef& a, const v1::PackRef& b);

// Collects a pack. Thread-compatible.
class PackWriter {
 public:
  // A new id; `revision` leads it, for people who look.
  explicit PackWriter(uint64_t revision);

  v1::PackRef Add(std::string_view bytes);

  const std::string& id() const { return id_; }
  bool is_small() const { return bytes_.size() <= kPieceBytes; }
  // The whole pack, to be put by the committing transaction. REQUIRES: is_small().
  void PutInto(const Client& client, etcdserverpb::TxnRequest* txn) const;
  // Of a larger one: pending and all pieces, before the commit. kAborted: it was swept meanwhile.
  absl::Status WriteAhead(Client& client, WallTime now) const;
  // What then belongs into the committing transaction.
  void Settle(const Client& client, etcdserverpb::TxnRequest* txn) const;
  // The commit is not going to be. Best effort: what stays is swept later.
  void Drop(Client& client) const;

 private:
  const std::string id_;
  std::string bytes_;
};

// The bytes of each, in order. kDataLoss: a piece is missing, or is not what was written.
absl::StatusOr<std::vector<std::string>> ReadPacks(Client& client,
                                                   const std::vector<v1::PackRef>& refs);

// Takes away what writers have left that began before `before`.
absl::Status SweepPacks(Client& client, WallTime before);

}  // namespace whence::etcd

#endif  // WHENCE_CONTROLPLANE_ETCD_PACKS_H_
