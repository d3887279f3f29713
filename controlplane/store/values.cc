#include "controlplane/store/values.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace whence::store {

std::string Name(const DocumentKey& key) {
  return absl::StrCat(key.kind, " ", key.namespace_name, key.namespace_name.empty() ? "" : "/",
                      key.name);
}

std::string Serialize(const v1::Document& document) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream out(&stream);
    out.SetSerializationDeterministic(true);
    document.SerializeToCodedStream(&out);
  }
  return bytes;
}

v1::Change ChangeOf(const Mutation& mutation, bool existed, bool same,
                    const std::string& old_kind) {
  v1::Change change;
  change.set_kind(mutation.document ? mutation.document->kind() : old_kind);
  change.set_namespace_(mutation.key.namespace_name);
  change.set_name(mutation.key.name);
  change.set_action(!mutation.document ? v1::Change::DELETED
                    : !existed         ? v1::Change::CREATED
                    : same             ? v1::Change::UNCHANGED
                                       : v1::Change::UPDATED);
  return change;
}

std::optional<net::PackedCidrs> TakeOutContent(v1::Document* document) {
  if (!document->has_ip_set() || !document->ip_set().has_packed()) return std::nullopt;
  v1::PackedCidrs* packed = document->mutable_ip_set()->mutable_packed();
  net::PackedCidrs content{std::move(*packed->mutable_v4()), std::move(*packed->mutable_v6())};
  packed->Clear();
  packed->set_version(net::VersionOf(content));
  return content;
}

absl::Status NoSuchDocument(const DocumentKey& key) {
  return absl::NotFoundError(absl::StrCat(Name(key), ": there is no such document"));
}

absl::Status AtAnotherRevision(uint64_t current, uint64_t expected) {
  return absl::AbortedError(absl::StrCat("the configuration is at revision ", current, ", not ",
                                         expected, ": look again and retry"));
}

absl::Status NotRising(uint64_t current, uint64_t asked) {
  return absl::InvalidArgumentError(absl::StrCat("the configuration is at revision ", current, ": ",
                                                 asked, " cannot come after it"));
}

}  // namespace whence::store
