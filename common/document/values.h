// The syntax of single values. Each function gives what is wrong with `text`, as the end of a
// message, or nothing.
#ifndef WHENCE_COMMON_DOCUMENT_VALUES_H_
#define WHENCE_COMMON_DOCUMENT_VALUES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/net/cidr.h"

namespace whence::document {

using Complaint = std::optional<std::string>;

Complaint CheckLabelName(std::string_view text);   // RFC 1123 label: a namespace
Complaint CheckObjectName(std::string_view text);  // RFC 1123 subdomain: metadata.name
Complaint CheckLabelKey(std::string_view text);    // "app", "example.com/app"
Complaint CheckLabelValue(std::string_view text);  // may be empty
// For a CIDR written with host bits: `"2.2.2.2/24" means the whole range 2.2.2.0/24, 256 addresses …`.
std::string HostBitsWarning(std::string_view text, const net::Cidr& cidr);
Complaint CheckPortText(std::string_view text);     // "8080"
Complaint CheckPort(uint32_t port);                 // 1..65535
Complaint CheckHostPattern(std::string_view text);  // "host", "*.suffix", "*"
Complaint CheckHeaderName(std::string_view text);   // RFC 9110 token
Complaint CheckReference(std::string_view text);    // "name" or "namespace/name"
Complaint CheckTimestamp(std::string_view text);    // RFC 3339

// "7d", "12h", "30m", "45s", and sums of them ("1d12h") in seconds; nullopt: not such text.
std::optional<uint64_t> ParseDurationSeconds(std::string_view text);
// "10GiB", "500MB", "1048576"; nullopt: not such text.
std::optional<uint64_t> ParseSizeBytes(std::string_view text);

// "name" in `default_namespace`, or "namespace/name", as "namespace/name".
std::string QualifiedName(std::string_view reference, std::string_view default_namespace);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_VALUES_H_
