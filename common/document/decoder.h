// Text tree -> message, by reflection over the schema.
#ifndef WHENCE_COMMON_DOCUMENT_DECODER_H_
#define WHENCE_COMMON_DOCUMENT_DECODER_H_

#include <string>

#include "common/document/fault_sink.h"
#include "common/document/location.h"
#include "common/document/schema.h"
#include "common/document/text_node.h"
#include "google/protobuf/message.h"

namespace whence::document {

// Thread-compatible; one per document.
class Decoder {
 public:
  // `budget` is shared by all documents of a file: how many nodes may still be visited. Aliases
  // make a short text mean a long one ("billion laughs"); without them no text has more nodes than
  // bytes.
  Decoder(FaultSink* sink, Locations* locations, size_t* budget, bool ignore_unsupported)
      : sink_(*sink),
        locations_(*locations),
        budget_(*budget),
        ignore_unsupported_(ignore_unsupported) {}

  // Reads what it can and reports the rest. `path` is the message's own ("spec").
  void DecodeMessage(const TextNode& node, const std::string& path,
                     google::protobuf::Message* message);

  // What stands at `path` and is understood, but not acted on: fault or warning, as asked. The
  // warning ends with `consequence`.
  void ReportUnsupported(Location at, const std::string& path, const std::string& what,
                         std::string_view consequence = "it is ignored");

  // A field was ignored without which the document would mean more than it says.
  bool leaves_out_document() const { return leaves_out_document_; }

 private:
  void DecodeEntry(const TextNode& key, const TextNode& value, const std::string& path,
                   google::protobuf::Message* message);
  void DecodeUnsupported(const UnsupportedField& field, const TextNode& key, const TextNode& value,
                         const std::string& path);
  // True, and reported: the item of a list, a `type`, must go with a field of it that is ignored.
  bool LeavesOut(const google::protobuf::Descriptor& type, const TextNode& item,
                 const std::string& path);
  // The same for a route of which no match is left; without any it would match everything.
  bool LeavesOutEveryMatch(const google::protobuf::Descriptor& type, const TextNode& item,
                           const std::string& path);
  void DecodeField(const google::protobuf::FieldDescriptor& field, const TextNode& value,
                   const std::string& path, google::protobuf::Message* message);
  void DecodeList(const google::protobuf::FieldDescriptor& field, const TextNode& value,
                  const std::string& path, google::protobuf::Message* message);
  // Names to strings, numbers or messages.
  void DecodeMap(const google::protobuf::FieldDescriptor& field, const TextNode& value,
                 const std::string& path, google::protobuf::Message* message);
  void DecodeMapEntry(const google::protobuf::FieldDescriptor& field, const TextNode::Child& child,
                      const std::string& path, google::protobuf::Message* message);
  // Sets the field, or adds to it if it is repeated.
  void DecodeScalar(const google::protobuf::FieldDescriptor& field, const TextNode& value,
                    const std::string& path, google::protobuf::Message* message);
  void DecodeEnum(const google::protobuf::FieldDescriptor& field, const TextNode& value,
                  const std::string& path, google::protobuf::Message* message);
  // True, and reported: a number that is octal where YAML 1.1 is spoken, as it is by kubectl.
  bool HasLeadingZero(const TextNode& value, const std::string& path);
  bool ReadString(const TextNode& value, const std::string& path, bool number_allowed,
                  std::string* out);
  bool ReadNumber(const TextNode& value, const std::string& path, uint32_t* out);
  bool ReadBool(const TextNode& value, const std::string& path, bool* out);
  void ReportUnknownField(const google::protobuf::Descriptor& type, const TextNode& key,
                          const std::string& path);
  // False, and reported once, when the budget is used up or the node cannot be used at all.
  bool Visit(const TextNode& node, const std::string& path);

  FaultSink& sink_;
  Locations& locations_;
  size_t& budget_;
  const bool ignore_unsupported_;
  bool leaves_out_document_ = false;
};

// What a plain scalar is in YAML's core schema. Quoted ones are always text.
enum class PlainType { kText, kNumber, kBool, kNull };
PlainType TypeOfPlain(std::string_view text);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_DECODER_H_
