// Messages of streams, between gRPC's buffers and protobuf.
//
// Streams from the network take their messages raw, because what gRPC does with them by itself is
// not good enough: it has one size limit for all services, and a message that cannot be parsed
// looks to the service like the client's orderly end of the stream.
#ifndef WHENCE_CONTROLPLANE_RPC_MESSAGE_H_
#define WHENCE_CONTROLPLANE_RPC_MESSAGE_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"

namespace whence::rpc {

// ResourceExhausted: larger than `max_bytes`, and not looked at. InvalidArgument: not such a message,
// or nested deeper than protobuf's limit of 100. Both name the message's type.
absl::Status ReadMessage(const grpc::ByteBuffer& buffer, size_t max_bytes,
                         google::protobuf::Message* message);

// Puts a message together from its parts. Large bytes that many streams send are not copied: all
// of them refer to the same. Thread-compatible.
class MessageWriter {
 public:
  // Encoded fields.
  void Add(std::string_view fields);
  // Any bytes, kept alive until the last byte is written.
  void Add(std::shared_ptr<const std::string> bytes);
  // Empties the writer.
  grpc::ByteBuffer Take();

 private:
  void Flush();
  std::string small_;  // not yet a slice
  std::vector<grpc::Slice> slices_;
};

// Wire format: the beginning of a length-delimited field, and what it takes.
void AddFieldStart(int number, size_t length, std::string* out);
size_t FieldSize(int number, size_t length);
// A whole one.
void AddField(int number, std::string_view value, std::string* out);

}  // namespace whence::rpc

#endif  // WHENCE_CONTROLPLANE_RPC_MESSAGE_H_
