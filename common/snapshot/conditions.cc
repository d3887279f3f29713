#include "common/snapshot/conditions.h"

#include <cstring>

#include "common/base/strings.h"

namespace whence::snapshot {
namespace {

using std::string_view;

// Larger than any head that is let in, so that no value is ever cut.
constexpr size_t kMostJoined = 64 * 1024;

// Rare: a header in several lines. Its value is put together on the stack.
[[gnu::noinline]] bool MatchesJoined(const HeaderMatch& wanted, const RoutedRequest& request,
                                     size_t first) {
  char memory[kMostJoined];
  size_t size = 0;
  for (size_t i = first; i < request.fields.size(); ++i) {
    const http::HeaderField& field = request.fields[i];
    if (!EqualsIgnoreCase(field.name, wanted.name)) continue;
    if (size + 1 + field.value.size() > sizeof(memory)) return false;
    if (i != first) memory[size++] = ',';
    if (!field.value.empty()) std::memcpy(memory + size, field.value.data(), field.value.size());
    size += field.value.size();
  }
  return wanted.match.Matches({memory, size});
}

bool Matches(const HeaderMatch& wanted, const RoutedRequest& request) {
  if (http::IsForwardedFamily(wanted.id) && !request.peer_is_trusted) return false;
  const http::HeaderField* found = nullptr;
  for (size_t i = 0; i < request.fields.size(); ++i) {
    const http::HeaderField& field = request.fields[i];
    if (!EqualsIgnoreCase(field.name, wanted.name)) continue;
    if (wanted.match.kind == TextMatch::Kind::kPresent) return true;
    if (found != nullptr) {
      return MatchesJoined(wanted, request, static_cast<size_t>(found - request.fields.data()));
    }
    found = &field;
  }
  return found != nullptr && wanted.match.Matches(found->value);
}

bool Matches(const QueryMatch& wanted, string_view query) {
  while (!query.empty()) {
    const size_t end = query.find('&');
    const string_view item = query.substr(0, end);
    const size_t equals = item.find('=');
    if (item.substr(0, equals) == wanted.name) {
      return wanted.match.Matches(equals == string_view::npos ? string_view()
                                                              : item.substr(equals + 1));
    }
    if (end == string_view::npos) break;
    query.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

string_view RoutedRequest::Scheme() const {
  if (peer_is_trusted) {
    for (size_t i = 0; i < fields.size(); ++i) {
      if (ids[i] != http::FieldId::kXForwardedProto) continue;
      if (EqualsIgnoreCase(fields[i].value, "https")) return "https";
    }
  }
  return "http";
}

bool Conditions::Hold(const RoutedRequest& request) const {
  if (method && !method->Matches(request.method)) return false;
  if (source_cidrs &&
      (request.client == nullptr || !source_cidrs->Contains(request.client->ip()))) {
    return false;
  }
  if (authority && !authority->Matches(request.host)) return false;
  if (scheme && !scheme->Matches(request.Scheme())) return false;
  for (const HeaderMatch& wanted : headers) {
    if (!Matches(wanted, request)) return false;
  }
  for (const HeaderMatch& unwanted : without_headers) {
    if (Matches(unwanted, request)) return false;
  }
  for (const QueryMatch& wanted : query_params) {
    if (!Matches(wanted, request.Query())) return false;
  }
  return true;
}

}  // namespace whence::snapshot
