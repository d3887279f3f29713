#include "controlplane/rpc/message.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::rpc {
namespace {

using google::protobuf::internal::WireFormatLite;
using google::protobuf::io::CodedOutputStream;

// Below this a copy is cheaper than one more slice to count references of.
constexpr size_t kWorthSharing = 1024;

void DropReference(void* shared) {
  delete static_cast<std::shared_ptr<const std::string>*>(shared);
}

uint32_t Tag(int number) {
  return WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED);
}

void AddVarint(uint32_t value, std::string* out) {
  uint8_t bytes[5];
  const uint8_t* end = CodedOutputStream::WriteVarint32ToArray(value, bytes);
  out->append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(end - bytes));
}

// A buffer's slices as protobuf reads them.
class SliceStream final : public google::protobuf::io::ZeroCopyInputStream {
 public:
  explicit SliceStream(const std::vector<grpc::Slice>& slices) : slices_(slices) {}
  bool Next(const void** data, int* size) override {
    if (left_ > 0) {
      *data = slices_[next_ - 1].end() - left_;
      *size = std::exchange(left_, 0);
    } else {
      while (next_ < slices_.size() && slices_[next_].size() == 0) ++next_;
      if (next_ == slices_.size()) return false;
      *data = slices_[next_].begin();
      *size = static_cast<int>(slices_[next_].size());
      ++next_;
    }
    count_ += *size;
    return true;
  }
  void BackUp(int count) override {
    left_ = count;
    count_ -= count;
  }
  bool Skip(int count) override {
    const void* data;
    int size;
    while (count > 0 && Next(&data, &size)) {
      if (size > count) BackUp(size - count);
      count -= size;
    }
    return count <= 0;
  }
  int64_t ByteCount() const override { return count_; }

 private:
  const std::vector<grpc::Slice>& slices_;
  size_t next_ = 0;
  int left_ = 0;  // of the slice before next_
  int64_t count_ = 0;
};

}  // namespace

absl::Status ReadMessage(const grpc::ByteBuffer& buffer, size_t max_bytes,
                         google::protobuf::Message* message) {
  const size_t bytes = buffer.Length();
  if (bytes > max_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(message->GetTypeName(), " of ", bytes,
                                                     " bytes: at most ", max_bytes, " are taken"));
  }
  std::vector<grpc::Slice> slices;
  // Fails for a compressed buffer only, and gRPC has taken compression away by now.
  if (buffer.Valid() && !buffer.Dump(&slices).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(message->GetTypeName(), ": cannot be read"));
  }
  SliceStream stream(slices);
  if (!message->ParseFromZeroCopyStream(&stream)) {
    return absl::InvalidArgumentError(absl::StrCat(
        message->GetTypeName(), ": the bytes are no such message, or are nested too deep"));
  }
  return absl::OkStatus();
}

void MessageWriter::Add(std::string_view fields) { small_.append(fields); }

void MessageWriter::Add(std::shared_ptr<const std::string> bytes) {
  if (bytes->size() < kWorthSharing) {
    Add(*bytes);
    return;
  }
  Flush();
  auto* reference = new std::shared_ptr<const std::string>(std::move(bytes));
  // gRPC only reads what it is given to write.
  slices_.emplace_back(const_cast<char*>((*reference)->data()), (*reference)->size(), DropReference,
                       reference);
}

void MessageWriter::Flush() {
  if (small_.empty()) return;
  slices_.emplace_back(small_);
  small_.clear();
}

grpc::ByteBuffer MessageWriter::Take() {
  Flush();
  grpc::ByteBuffer buffer(slices_.data(), slices_.size());
  slices_.clear();
  return buffer;
}

void AddFieldStart(int number, size_t length, std::string* out) {
  AddVarint(Tag(number), out);
  AddVarint(static_cast<uint32_t>(length), out);
}

size_t FieldSize(int number, size_t length) {
  return CodedOutputStream::VarintSize32(Tag(number)) +
         CodedOutputStream::VarintSize32(static_cast<uint32_t>(length)) + length;
}

void AddField(int number, std::string_view value, std::string* out) {
  AddFieldStart(number, value.size(), out);
  out->append(value);
}

}  // namespace whence::rpc
