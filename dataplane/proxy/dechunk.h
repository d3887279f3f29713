// Takes the framing off a chunked body, in place: for HTTP/1.0 clients, who know no chunks. Pure.
#ifndef WHENCE_DATAPLANE_PROXY_DECHUNK_H_
#define WHENCE_DATAPLANE_PROXY_DECHUNK_H_

#include <span>

#include "common/http/body_decoder.h"

namespace whence::proxy {

// As BodyDecoder::PassThrough, but what is produced is payload alone.
http::BodyDecoder::Passed Dechunk(http::BodyDecoder& decoder, std::span<char> buffer);

}  // namespace whence::proxy

#endif  // WHENCE_DATAPLANE_PROXY_DECHUNK_H_
