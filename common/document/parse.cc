// Parse: from a file's text to its documents, fault by fault.
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/strings.h"
#include "common/document/check.h"
#include "common/document/decoder.h"
#include "common/document/document.h"
#include "common/document/edit_distance.h"
#include "common/document/fault_sink.h"
#include "common/document/ip_set.h"
#include "common/document/ip_set_file.h"
#include "common/document/kinds.h"
#include "common/document/resource_version.h"
#include "common/document/schema.h"
#include "common/document/text_node.h"

namespace whence::document {
namespace {

// kubectl keeps a copy of the whole document here; stored, it would be a second, older truth.
constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

std::string TextOf(const TextNode* node) {
  return node != nullptr && node->kind == TextNode::Kind::kScalar ? node->text : "";
}

class FileParser {
 public:
  FileParser(std::string file, const ParseOptions& options)
      : file_(std::move(file)), options_(options) {
    sink_.SetFile(file_);
  }

  ParseResult Run(std::string_view content) {
    if (content.size() > options_.max_bytes) {
      sink_.Fault({}, "", absl::StrCat("is larger than ", options_.max_bytes, " bytes"));
    } else {
      // See Decoder: without aliases, no text has more nodes than bytes.
      budget_ = content.size() + 1000;
      const TextFile text = ParseText(content, Tags::kPlain);
      for (const TextNode* document : text.documents) {
        if (budget_ == 0) break;  // reported; what is left could not be read as it is meant
        ReadTop(*document);
      }
      if (!text.error.empty()) {
        sink_.SetDocument("");
        sink_.Fault(text.error_at, "", text.error);
      }
    }
    result_.faults = sink_.TakeFaults();
    result_.warnings = sink_.TakeWarnings();
    return std::move(result_);
  }

 private:
  void ReadTop(const TextNode& node) {
    sink_.SetDocument("");
    if (node.kind == TextNode::Kind::kNull) return;  // only comments between two "---"
    if (node.kind != TextNode::Kind::kMapping) {
      sink_.Fault(node.at, "", "a document must be a mapping with apiVersion, kind and metadata");
      return;
    }
    if (TextOf(FindChild(node, "kind")) == "List") return ReadList(node);
    ReadDocument(node);
  }

  // What `kubectl get -o yaml` prints. A list that is not understood whole is not applied in part:
  // a policy that vanished would leave its port open.
  void ReadList(const TextNode& node) {
    const TextNode* items = nullptr;
    std::set<std::string> seen;
    for (const TextNode::Child& child : node.children) {
      const std::string name = TextOf(child.key);
      if (!seen.insert(name).second) {
        sink_.Fault(child.key->at, name, "is given twice in one document");
      } else if (name == "items") {
        items = child.value;
      } else if (name != "apiVersion" && name != "kind" && name != "metadata") {
        ReportTopField(*child.key, name, {"apiVersion", "kind", "metadata", "items"});
      }
    }
    const TextNode* version = FindChild(node, "apiVersion");
    if (TextOf(version) != "v1") {
      sink_.Fault(version != nullptr ? version->at : node.at, "apiVersion",
                  "must be v1 for a List");
    }
    if (items == nullptr) return sink_.Fault(node.at, "items", "is missing: a List of what?");
    if (items->kind != TextNode::Kind::kSequence) {
      return sink_.Fault(items->at, "items", "must be a list of documents");
    }
    for (const TextNode::Child& item : items->children) ReadDocument(*item.value);
  }

  void ReportTopField(const TextNode& key, const std::string& name,
                      const std::vector<std::string_view>& known) {
    const std::string nearest = Nearest(name, known);
    sink_.Fault(key.at, name,
                nearest.empty()
                    ? absl::StrCat("unknown field; known here: ",
                                   absl::StrJoin(known, ", ",
                                                 [](std::string* out, std::string_view one) {
                                                   out->append(one);
                                                 }))
                    : absl::StrCat("unknown field; did you mean \"", nearest, "\"?"));
  }

  void ReadDocument(const TextNode& node) {
    const std::string kind_name = TextOf(FindChild(node, "kind"));
    NameDocument(node, kind_name);
    if (node.kind != TextNode::Kind::kMapping) {
      sink_.Fault(node.at, "", "a document must be a mapping with apiVersion, kind and metadata");
      return;
    }
    ParsedDocument parsed;
    parsed.file = file_;
    parsed.locations.Set("", node.at);
    const Kind* kind = KindOf(node, kind_name, &parsed);
    if (kind == nullptr) return;
    if (!ReadFields(node, *kind, &parsed)) return;
    if (parsed.document.metadata().namespace_().empty()) {
      parsed.document.mutable_metadata()->set_namespace_(options_.default_namespace);
    }
    v1::ObjectMeta& metadata = *parsed.document.mutable_metadata();
    metadata.mutable_annotations()->erase(kLastApplied);
    if (!IsOurResourceVersion(metadata.resource_version())) metadata.clear_resource_version();
    if (parsed.document.has_gateway()) NameProtocols(parsed.document.mutable_gateway());
    ReadIpSetFile(&parsed);
    CheckContext context(parsed, &sink_, options_.ignore_unsupported);
    CheckMetadata(context);
    CheckSpec(context);
    if (sink_.faults_of_document() != 0) return;
    if (parsed.document.has_ip_set()) Compact(parsed.document.mutable_ip_set());
    result_.documents.push_back(std::move(parsed));
  }

  // In capitals, as everything behind this knows them: Istio ignores their case.
  static void NameProtocols(v1::GatewaySpec* gateway) {
    for (v1::GatewayServer& server : *gateway->mutable_servers()) {
      for (const char* name : {"HTTP", "TCP"}) {
        const std::string& written = server.port().protocol();
        if (EqualsIgnoreCase(written, name)) server.mutable_port()->set_protocol(name);
      }
    }
  }

  // Names the document in messages before it is understood.
  void NameDocument(const TextNode& node, const std::string& kind) {
    const TextNode* metadata = FindChild(node, "metadata");
    std::string space = metadata != nullptr ? TextOf(FindChild(*metadata, "namespace")) : "";
    std::string name = metadata != nullptr ? TextOf(FindChild(*metadata, "name")) : "";
    if (space.empty()) space = options_.default_namespace;
    if (name.empty()) name = "(unnamed)";
    sink_.SetDocument(kind.empty() ? "" : absl::StrCat(kind, " ", space, "/", name));
  }

  // The document's kind, if it is one of ours in a version that we know.
  const Kind* KindOf(const TextNode& node, const std::string& name, ParsedDocument* parsed) {
    const TextNode* kind_node = FindChild(node, "kind");
    const TextNode* version_node = FindChild(node, "apiVersion");
    const std::string version = TextOf(version_node);
    const Location kind_at = kind_node != nullptr ? kind_node->at : node.at;
    const Kind* kind = FindKind(name);
    if (version.empty()) {
      sink_.Fault(version_node != nullptr ? version_node->at : node.at, "apiVersion",
                  absl::StrCat("is missing", kind == nullptr
                                                 ? std::string("; expected such as whence.dev/v1")
                                                 : absl::StrCat("; for ", name, " write ",
                                                                ToAbsl(kind->api_versions[0]))));
    }
    if (name.empty()) {
      sink_.Fault(kind_at, "kind", "is missing; known kinds: " + KnownKinds());
    } else if (kind == nullptr) {
      ReportKind(name, kind_at);
    } else if (!version.empty() && !HasVersion(*kind, version)) {
      const std::string preferred(kind->api_versions[0]);
      sink_.Fault(version_node->at, "apiVersion",
                  absl::StrCat("\"", version, "\" is not known for ", name, "; write ", preferred));
    } else if (!version.empty()) {
      parsed->locations.Set("kind", kind_at);
      parsed->document.set_api_version(version);
      parsed->document.set_kind(name);
      return kind;
    }
    return nullptr;
  }

  static bool HasVersion(const Kind& kind, const std::string& version) {
    for (const std::string_view known : kind.api_versions) {
      if (known == version) return true;
    }
    return false;
  }

  static std::string KnownKinds() {
    std::vector<std::string> names;
    for (const Kind& kind : AllKinds()) names.emplace_back(kind.name);
    return absl::StrJoin(names, ", ");
  }

  void ReportKind(const std::string& name, Location at) {
    if (IsUnsupportedKind(name)) {
      // No decoder is needed to say it, but the wording must be the same as for fields.
      Locations unused;
      Decoder(&sink_, &unused, &budget_, options_.ignore_unsupported)
          .ReportUnsupported(at, "kind",
                             absl::StrCat(name, " is a kind that Whence does not act on yet"));
      return;
    }
    const std::string nearest = NearestKind(name);
    sink_.Fault(at, "kind",
                nearest.empty()
                    ? absl::StrCat("\"", name, "\" is no known kind; known: ", KnownKinds())
                    : absl::StrCat("\"", name, "\" is no known kind; did you mean ", nearest, "?"));
  }

  // False: it cannot be kept without a field that is ignored.
  bool ReadFields(const TextNode& node, const Kind& kind, ParsedDocument* parsed) {
    namespace pb = google::protobuf;
    pb::Message* document = &parsed->document;
    const pb::FieldDescriptor* spec_field =
        document->GetDescriptor()->FindFieldByNumber(static_cast<int>(kind.spec));
    // A document without spec is one with an empty spec: an AuthorizationPolicy that allows
    // nothing.
    pb::Message* spec = document->GetReflection()->MutableMessage(document, spec_field);
    Decoder decoder(&sink_, &parsed->locations, &budget_, options_.ignore_unsupported);
    std::set<std::string> seen;
    for (const TextNode::Child& child : node.children) {
      const std::string name = TextOf(child.key);
      if (!seen.insert(name).second) {
        sink_.Fault(child.key->at, name, "is given twice in one document");
        continue;
      }
      parsed->locations.Set(name, child.key->at);
      if (name == "metadata") {
        decoder.DecodeMessage(*child.value, name, parsed->document.mutable_metadata());
      } else if (name == "spec") {
        decoder.DecodeMessage(*child.value, name, spec);
      } else if (name != "apiVersion" && name != "kind" && name != "status") {
        ReportTopField(*child.key, name, {"apiVersion", "kind", "metadata", "spec"});
      }
    }
    return !decoder.leaves_out_document();
  }

  // Replaces an IpSet's `file` by what is in it.
  void ReadIpSetFile(ParsedDocument* parsed) {
    if (!parsed->document.has_ip_set() || parsed->document.ip_set().file().empty()) return;
    v1::IpSetSpec* set = parsed->document.mutable_ip_set();
    const Location at = parsed->locations.Find("spec.file");
    if (!options_.read_file) {
      sink_.Fault(
          at, "spec.file",
          "only the side that has the file can read it: apply with whencectl, or give cidrs");
      return;
    }
    const std::optional<std::string> content = options_.read_file(set->file());
    if (!content) {
      sink_.Fault(at, "spec.file", absl::StrCat("\"", set->file(), "\" cannot be read"));
      return;
    }
    IpSetList list = ReadIpSetList(*content);
    const auto place = [&](const ListRemark& remark) {
      return absl::StrCat(set->file(), ":", remark.line, ": ", remark.message);
    };
    for (const ListRemark& fault : list.faults) sink_.Fault(at, "spec.file", place(fault));
    for (const ListRemark& warning : list.warnings) sink_.Warn(at, "spec.file", place(warning));
    if (list.is_long) {
      // Text of both kinds would have no order in common.
      const net::PackedCidrs written = ContentOf(*set);
      SetContent(written.empty() ? std::move(list.content) : net::Union(list.content, written),
                 set);
    } else {
      for (const std::string_view text : list.texts) set->add_cidrs(std::string(text));
    }
    set->clear_file();
  }

  const std::string file_;
  const ParseOptions& options_;
  FaultSink sink_;
  size_t budget_ = 0;
  ParseResult result_;
};

}  // namespace

ParseResult Parse(const std::string& file, std::string_view content, const ParseOptions& options) {
  return FileParser(file, options).Run(content);
}

std::string FaultText(const v1::Fault& fault) {
  std::string text = fault.file();
  if (fault.line() != 0) absl::StrAppend(&text, ":", fault.line(), ":", fault.column());
  for (const std::string* part : {&fault.document(), &fault.path(), &fault.message()}) {
    if (!part->empty()) absl::StrAppend(&text, text.empty() ? "" : ": ", *part);
  }
  return text;
}

}  // namespace whence::document
