// YAML or JSON text -> documents, and back.
//
// There is one schema, proto/whence/v1/documents.proto; text is decoded into its messages by
// reflection. What is not in the schema is refused, with its place, the field's path and the
// nearest name that does exist: a misspelled field of a security policy that is silently dropped is
// an open door. All faults are collected, so that one run shows all of them.
//
// Pure; safe from any thread. Input is bounded: size, nesting, and the nodes that YAML aliases may
// expand to.
#ifndef WHENCE_COMMON_DOCUMENT_DOCUMENT_H_
#define WHENCE_COMMON_DOCUMENT_DOCUMENT_H_

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/document/location.h"
#include "whence/v1/admin.pb.h"
#include "whence/v1/documents.pb.h"

namespace whence::document {

struct ParseOptions {
  // Fields and kinds of Istio that Whence does not act on become warnings instead of faults.
  bool ignore_unsupported = false;
  // For documents without metadata.namespace.
  std::string default_namespace = "default";
  // Reads the file that an IpSet's `spec.file` names, relative to the document; nullopt: it cannot
  // be read. Without it `spec.file` is refused: only the side that has the file can send it.
  std::function<std::optional<std::string>(const std::string& path)> read_file;
  size_t max_bytes = 64 << 20;
};

struct ParsedDocument {
  v1::Document document;
  std::string file;
  Locations locations;
};

struct ParseResult {
  // Those without faults of their own.
  std::vector<ParsedDocument> documents;
  std::vector<v1::Fault> faults;
  std::vector<v1::Fault> warnings;
};

// `file` is used in messages only. Several documents (`---`), JSON, and `kind: List` are
// understood. Checks each document by itself: schema, values, and the meaning of single documents.
ParseResult Parse(const std::string& file, std::string_view content, const ParseOptions& options);

struct Findings {
  std::vector<v1::Fault> faults;
  std::vector<v1::Fault> warnings;
};

// What only shows when documents meet: references to IpSets that do not exist, topologies that tie,
// a second Mesh, a document given twice. `whole_result` is the configuration as it would be after
// the change; `changed` gives the places to report, and may be empty (a deletion).
Findings Validate(const std::vector<ParsedDocument>& changed,
                  const std::vector<v1::Document>& whole_result);

// Kubernetes-shaped text in a stable order, ending in a newline; parses to an equal Document.
std::string ToYaml(const v1::Document& document);
std::string ToJson(const v1::Document& document);

// "policy.yaml:3:5: IpPolicy ns/name: spec.rules[0]: message", without the parts that are unknown.
std::string FaultText(const v1::Fault& fault);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_DOCUMENT_H_
