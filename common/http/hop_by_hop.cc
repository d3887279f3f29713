#include "common/http/hop_by_hop.h"

#include "common/base/strings.h"
#include "common/http/char_class.h"

namespace whence::http {
namespace {

// Splits the next element off a comma-separated list; blanks around it go. Empty elements are legal
// and ignored.
std::string_view NextElement(std::string_view& list) {
  const size_t comma = list.find(',');
  const std::string_view element = TrimBlanks(list.substr(0, comma));
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return element;
}

bool ListContains(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    if (EqualsIgnoreCase(NextElement(list), wanted)) return true;
  }
  return false;
}

// Fields whose removal on request would change framing, routing, who the client is or how the request
// is called in the logs.
bool IsProtected(std::string_view name) {
  const FieldId id = IdentifyField(name);
  return id == FieldId::kHost || id == FieldId::kContentLength ||
         id == FieldId::kTransferEncoding || id == FieldId::kExpect || id == FieldId::kXRequestId ||
         IsForwardedFamily(id) || EqualsIgnoreCase(name, "true-client-ip") ||
         EqualsIgnoreCase(name, "x-client-ip") || EqualsIgnoreCase(name, "cf-connecting-ip");
}

// The fields that are hop by hop by name.
void DropByName(std::span<const HeaderField> fields, std::span<const FieldId> ids, FieldSet& drop) {
  for (size_t i = 0; i < ids.size(); ++i) {
    switch (ids[i]) {
      case FieldId::kConnection:
      case FieldId::kKeepAlive:
      case FieldId::kProxyConnection:
      case FieldId::kTrailer:
      case FieldId::kUpgrade:
      case FieldId::kHttp2Settings:
      case FieldId::kUnderscoreAlias:
        drop.Add(i);
        break;
      case FieldId::kTe:
        // Anything else in it would announce codings that we refuse.
        if (!EqualsIgnoreCase(fields[i].value, "trailers")) drop.Add(i);
        break;
      default:
        break;
    }
  }
}

// What one Connection field says. Sets `upgrade_nominated` rather than options->upgrade: the
// Upgrade field may follow.
void ReadOne(std::string_view list, std::span<const HeaderField> fields,
             std::span<const FieldId> ids, int& left, bool& upgrade_nominated,
             ConnectionOptions* options) {
  while (!list.empty()) {
    const std::string_view option = NextElement(list);
    if (option.empty()) continue;
    if (--left < 0) {
      options->error = "too many Connection options";
      options->too_many = true;
      return;
    }
    if (EqualsIgnoreCase(option, "keep-alive")) {
      options->keep_alive = true;
    } else if (EqualsIgnoreCase(option, "close")) {
      options->close = true;
    } else if (EqualsIgnoreCase(option, "upgrade")) {
      upgrade_nominated = true;
    } else if (EqualsIgnoreCase(option, "te")) {
      // Judged by value in DropByName.
    } else if (IsProtected(option)) {
      options->error = "Connection names a protected field";
      return;
    } else {
      for (size_t i = 0; i < fields.size(); ++i) {
        if (ids[i] != FieldId::kConnection && EqualsIgnoreCase(fields[i].name, option)) {
          options->drop.Add(i);
        }
      }
    }
  }
}

}  // namespace

ConnectionOptions ReadConnectionOptions(std::span<const HeaderField> fields,
                                        std::span<const FieldId> ids, bool upgrade_may_pass) {
  ConnectionOptions options;
  DropByName(fields, ids, options.drop);
  if (options.drop.empty()) return options;  // no Connection field either
  bool upgrade_nominated = false;
  int left = kMaxConnectionOptions;
  size_t upgrades = 0;
  size_t upgrade_at = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (ids[i] == FieldId::kConnection) {
      ReadOne(fields[i].value, fields, ids, left, upgrade_nominated, &options);
      if (!options.error.empty()) return options;
    } else if (ids[i] == FieldId::kUpgrade) {
      ++upgrades;
      upgrade_at = i;
    }
  }
  // One field only, and no h2c in it: behind an h2c upgrade the origin would speak frames that
  // nobody here reads.
  if (upgrade_may_pass && upgrade_nominated && upgrades == 1 && !fields[upgrade_at].value.empty() &&
      !ListContains(fields[upgrade_at].value, "h2c")) {
    options.upgrade = fields[upgrade_at].value;
    options.drop.Remove(upgrade_at);
  }
  return options;
}

bool TrailerMayPass(std::string_view name) {
  // Names that mean something to whoever merges trailers into the head, which is what makes them
  // dangerous.
  static constexpr std::string_view kRefused[] = {"age",
                                                  "authorization",
                                                  "cache-control",
                                                  "cookie",
                                                  "date",
                                                  "expires",
                                                  "location",
                                                  "max-forwards",
                                                  "pragma",
                                                  "range",
                                                  "retry-after",
                                                  "set-cookie",
                                                  "set-cookie2",
                                                  "vary",
                                                  "warning",
                                                  "origin",
                                                  "true-client-ip",
                                                  "x-client-ip",
                                                  "cf-connecting-ip",
                                                  "status"};
  static constexpr std::string_view kRefusedPrefixes[] = {
      "content-", "if-", "proxy-", "sec-", "www-", "access-control-", "x-forwarded", "x-original-"};
  if (IdentifyField(name) != FieldId::kOther) return false;
  for (std::string_view refused : kRefused) {
    if (EqualsIgnoreCase(name, refused)) return false;
  }
  for (std::string_view prefix : kRefusedPrefixes) {
    if (name.size() >= prefix.size() && EqualsIgnoreCase(name.substr(0, prefix.size()), prefix)) {
      return false;
    }
  }
  return true;
}

}  // namespace whence::http
