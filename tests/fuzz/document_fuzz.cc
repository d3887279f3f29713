// Documents: any text gives faults or documents, never a crash, and what is printed parses back to
// the same document.
#include <google/protobuf/util/message_differencer.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/document/document.h"

namespace {

using whence::document::Parse;
using whence::document::ParsedDocument;
using whence::document::ParseOptions;
using whence::document::ParseResult;
using whence::document::ToJson;
using whence::document::ToYaml;

void MustParseBack(const ParsedDocument& parsed, const std::string& printed) {
  ParseOptions options;
  options.ignore_unsupported = true;
  const ParseResult again = Parse("printed", printed, options);
  if (again.faults.empty() && again.documents.size() == 1 &&
      google::protobuf::util::MessageDifferencer::Equals(again.documents[0].document,
                                                         parsed.document)) {
    return;
  }
  std::fprintf(stderr, "does not parse back:\n%s\n", printed.c_str());
  for (const auto& fault : again.faults) {
    std::fprintf(stderr, "%s\n", whence::document::FaultText(fault).c_str());
  }
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ParseOptions options;
  options.ignore_unsupported = true;
  options.max_bytes = 64 << 10;
  const ParseResult result = Parse("fuzz", {reinterpret_cast<const char*>(data), size}, options);
  for (const ParsedDocument& parsed : result.documents) {
    MustParseBack(parsed, ToYaml(parsed.document));
    MustParseBack(parsed, ToJson(parsed.document));
  }
  return 0;
}
