// One access record as it is stored.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "controlplane/store/database.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// What is kept of each text, counted before escaping.
inline constexpr size_t kMaxWordBytes = 256;   // protocol, reason, flags, method, request id
inline constexpr size_t kMaxTextBytes = 8192;  // forwarded_for, host, path

// A record made fit for the database: bounded, escaped, addresses as blob and text. Nothing in a
// record makes it unfit: an address of a wrong length is none, a time beyond reason is cut.
// Refusing would stop the agent's log at that record for ever.
struct Row {
  explicit Row(const v1::AccessRecord& record);

  // Binds the columns from time_us on, borrowing from *this, and runs.
  absl::Status Insert(store::Statement& insert, int64_t id, int64_t agent_id) const;

  // Of the variable part; for the size of a segment.
  size_t bytes() const;

  struct Address {
    explicit Address(const std::string& bytes);
    std::string blob;  // 16 bytes, or empty: none
    std::string text;
  };

  int64_t time_us;
  std::string protocol;
  Address client;
  std::string client_reason;
  Address peer;
  int64_t peer_port;
  std::string forwarded_for;
  Address external;
  Address destination;
  int64_t destination_port;
  Address upstream;
  std::string method, host, path;
  int64_t status;
  int64_t decision;
  std::string policy;
  int64_t bytes_in, bytes_out, duration_us;
  std::string flags;
  std::string request_id;
  int64_t dropped;
  std::string proxy_tlvs;
};

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_
