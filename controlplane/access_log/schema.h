// The shape of logs.db.
//
//   agents        who reported: identity at the time of reporting, one row per distinct identity
//   high_water    (agent, boot) -> last sequence number committed; what makes a repeat harmless
//   segments      the list of segment tables, oldest first
//   segment_<n>   the rows; the newest one is being appended to
//   access_log    the view for people: all segments, the columns of the contract
//
// A segment grows without secondary indexes (appends stay sequential, whatever its size) and gets
// its indexes when it is sealed. Addresses are 16-byte blobs, IPv4 mapped, whose order makes a CIDR
// a range; their text is stored for IPv6 only, since the view can make IPv4's of the blob. For the
// same reason, room, protocols that we know are numbers and request ids that are UUIDs are 16 bytes.
// Segments of earlier versions hold text in their place: the view and the reader take both.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_SCHEMA_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_SCHEMA_H_

#include <cstdint>
#include <span>
#include <vector>

#include "controlplane/store/database.h"

namespace whence::access_log {

inline constexpr uint32_t kApplicationId = 0x57484c47;  // "WHLG"

std::span<const store::Sql> MigrationSteps();

// SQLite joins at most 500 selects in the view.
inline constexpr size_t kMaxSegments = 450;

store::ComposedSql CreateSegmentSql(uint64_t number);
store::ComposedSql DropSegmentSql(uint64_t number);
store::ComposedSql IndexByClientSql(uint64_t number);
store::ComposedSql IndexByWorkloadSql(uint64_t number);
// Parameters in the order of the columns, id first.
store::ComposedSql InsertSql(uint64_t number);
// Segments of databases that are older than the column. HasTlvs gives one number.
store::ComposedSql HasTlvsSql(uint64_t number);
store::ComposedSql AddTlvsSql(uint64_t number);
// Replaces the view. REQUIRES: `segments` is not empty.
store::ComposedSql CreateViewSql(const std::vector<uint64_t>& segments);

// Decision values as the database holds them are those of v1::Decision.

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_SCHEMA_H_
