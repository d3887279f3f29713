// The content of large IpSets in config.db: once per version, and mostly as differences.
//
// A document's row would hold a million CIDRs again with every revision that changes ten of them. So
// the row keeps the content's version only (a digest, so that equal contents are one), and the
// content is a row of its own: whole, or what to add to and remove from another version. Chains are
// cut by a whole one before reading them would cost more than that saves.
#ifndef WHENCE_CONTROLPLANE_STORE_IP_SET_CONTENTS_H_
#define WHENCE_CONTROLPLANE_STORE_IP_SET_CONTENTS_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/net/packed_cidrs.h"
#include "controlplane/store/database.h"
#include "whence/v1/documents.pb.h"

namespace whence::store {

extern const Sql kIpSetContentSchema;

// Thread-compatible; the caller's transaction is around it.
class IpSetContents {
 public:
  static absl::StatusOr<IpSetContents> Prepare(Database& database);

  // Puts back what TakeOutContent took. kDataLoss if what is stored is not what the version says.
  absl::Status PutBack(v1::Document* document);

  // Keeps `content` under its version, unless it is there. `replaced`: the version that it takes
  // the place of, which it probably has most in common with; empty: none.
  absl::Status Keep(const std::string& version, const net::PackedCidrs& content,
                    const std::string& replaced);

 private:
  // How far it is from a whole content to this one.
  struct Chain {
    int64_t steps = 0;
    int64_t bytes = 0;
  };

  IpSetContents(Statement find, Statement read, Statement insert)
      : find_(std::move(find)), read_(std::move(read)), insert_(std::move(insert)) {}
  absl::StatusOr<std::optional<Chain>> Find(const std::string& version);
  absl::StatusOr<net::PackedCidrs> Read(const std::string& version);
  absl::Status Insert(const std::string& version, const std::optional<std::string>& base,
                      Chain chain, const net::CidrDelta& delta);

  Statement find_, read_, insert_;
};

}  // namespace whence::store

#endif  // WHENCE_CONTROLPLANE_STORE_IP_SET_CONTENTS_H_
