// The kinds of documents: how they are written, and under which kind they are kept.
#ifndef WHENCE_COMMON_DOCUMENT_KINDS_H_
#define WHENCE_COMMON_DOCUMENT_KINDS_H_

#include <span>
#include <string>
#include <string_view>

#include "whence/v1/documents.pb.h"

namespace whence::document {

struct Kind {
  std::string_view name;  // as in a document: "AuthorizationPolicy"
  // What it is kept under: an AuthorizationPolicy "edge" and an IpPolicy "edge" are the same
  // document in two spellings, so both have the key kind "IpPolicy".
  std::string_view key;
  std::span<const std::string_view> api_versions;  // accepted ones, the preferred first
  std::span<const std::string_view> aliases;       // lower case, as typed: "svc", "ippolicies"
  v1::Document::SpecCase spec;
};

// In the order in which they are listed for people.
std::span<const Kind> AllKinds();

// By the exact name used in documents; null: not one of ours.
const Kind* FindKind(std::string_view name);
// By what people type on a command line: any case, singular, plural or short. Null: unknown.
const Kind* FindKindByAlias(std::string_view typed);

// "IpPolicy" for an AuthorizationPolicy. REQUIRES: a document of a known kind (from Parse).
std::string KeyKind(const v1::Document& document);
// "IpPolicy istio-system/edge": how messages name a document; the kind as written.
std::string DisplayName(const v1::Document& document);
// "IpPolicy/istio-system/edge": unique among all documents.
std::string Key(const v1::Document& document);

// A kind or apiVersion that is close in spelling to `written`; empty: none is.
std::string NearestKind(std::string_view written);

}  // namespace whence::document

#endif  // WHENCE_COMMON_DOCUMENT_KINDS_H_
