// One access record as it is stored.
#ifndef WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_
#define WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/net/ip_address.h"
#include "controlplane/store/database.h"
#include "whence/v1/access_log.pb.h"

namespace whence::access_log {

// What is kept of each text, counted before escaping.
inline constexpr size_t kMaxWordBytes = 256;   // protocol, reason, flags, method, request id
inline constexpr size_t kMaxTextBytes = 8192;  // forwarded_for, host, path

// A record made fit for the database: bounded, escaped, words that we know made short. Nothing in a
// record makes it unfit: an address of a wrong length is none, a time beyond reason is cut.
// Refusing would stop the agent's log at that record for ever.
//
// Borrows from the record, which nearly always is plain text already.
class Row {
 public:
  explicit Row(const v1::AccessRecord& record) : record_(record) {}

  // Binds the columns from time_us on, and runs.
  absl::Status Insert(store::Statement& insert, int64_t id, int64_t agent_id);

  int64_t time_us() const;
  int64_t dropped() const;
  // Near enough, of what is stored; for the size of a segment. After Insert.
  size_t bytes() const { return bytes_; }

 private:
  using Text = std::optional<std::string_view>;

  Text Fit(const std::string& bytes, size_t max_bytes);
  std::optional<store::Blob> Address(const std::string& bytes);
  Text AddressText(const std::string& bytes);

  const v1::AccessRecord& record_;
  size_t bytes_ = 0;
  std::deque<std::string> made_;          // texts that had to be; stable addresses
  std::array<net::IpAddress, 5> mapped_;  // those that came in four bytes
  size_t mapped_count_ = 0;
};

// What is stored for words that every record has, and how it is read again. What is not known is
// stored as it is.
std::optional<int64_t> ProtocolCode(std::string_view protocol);
std::string_view ProtocolOf(int64_t code);  // "": no such code
// A request id in the form of a UUID, as 16 bytes; and back.
std::optional<std::array<char, 16>> PackUuid(std::string_view text);
std::string UnpackUuid(std::string_view bytes);

}  // namespace whence::access_log

#endif  // WHENCE_CONTROLPLANE_ACCESS_LOG_ROW_H_
