// What a Service says of one of its ports.
#ifndef WHENCE_COMMON_DOCUMENT_SERVICE_PORT_H_
#define WHENCE_COMMON_DOCUMENT_SERVICE_PORT_H_

#include <cstdint>

#include "whence/v1/documents.pb.h"

namespace whence::document {

// How what arrives there is taken. Undeclared: the first bytes decide.
enum class Speaks : uint8_t { kUndeclared, kHttp, kTcp };

// By appProtocol, else by a name such as "http" or "tcp-db".
Speaks SpokenAt(const v1::ServiceSpec::Port& port);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_SERVICE_PORT_H_
