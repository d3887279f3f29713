#include "controlplane/console/request.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/strings.h"
#include "common/base/utf8.h"
#include "common/net/ip_address.h"
#include "common/net/socket_address.h"

namespace whence::console {
namespace {

constexpr size_t kMaxQueryBytes = 2048;

// Not all of 127.0.0.0/8: in a pod whose connections are redirected, what comes from 127.0.0.6 is
// anybody.
bool IsThisMachine(std::string_view peer) {
  const std::optional<net::IpAddress> address = net::IpAddress::Parse(peer);
  return address == net::IpAddress::Parse("127.0.0.1") || address == net::IpAddress::Parse("::1");
}

// "localhost", "127.0.0.1", "[::1]", each with or without a port: of whatever number, since ports
// are forwarded.
bool NamesThisMachine(std::string_view host) {
  const size_t colon = host.rfind(':');
  const bool has_port = colon != std::string_view::npos && host.find(']', colon) == host.npos;
  const std::string_view port = has_port ? host.substr(colon + 1) : "80";
  const std::string_view name = has_port ? host.substr(0, colon) : host;
  const std::string_view address = EqualsIgnoreCase(name, "localhost") ? "127.0.0.1" : name;
  const auto socket = net::SocketAddress::Parse(absl::StrCat(ToAbsl(address), ":", ToAbsl(port)));
  return socket && socket->ip.is_loopback();
}

absl::Status Invalid(std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(ToAbsl(name), ": ", ToAbsl(why)));
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ToLowerAscii(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Nullopt: not percent-encoded, or not printable text.
std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexDigit(text[i + 1]), low = HexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    }
  }
  const bool has_control =
      std::any_of(out.begin(), out.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
  if (has_control || ValidUtf8Size(out) != out.size()) return std::nullopt;
  return out;
}

std::string Encode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "-._~/";
  std::string out;
  for (const char c : text) {
    const char lower = ToLowerAscii(c);
    const bool is_plain = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
                          kPlain.find(c) != std::string_view::npos;
    if (is_plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

template <typename T>
absl::Status ReadNumber(const Params& params, const char* name, T lowest, T highest,
                        const char* what, T* number) {
  const auto found = params.find(name);
  if (found == params.end()) return absl::OkStatus();
  const std::string& text = found->second;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *number);
  const bool is_number = error == std::errc() && stop == end;
  if (is_number && *number >= lowest && *number <= highest) return absl::OkStatus();
  return Invalid(name, absl::StrCat("\"", text, "\": give ", what));
}

}  // namespace

std::optional<Answer> Refuse(const Request& request) {
  if (!IsThisMachine(request.peer)) {
    return Answer{403,
                  "The web console answers its own machine only: ask there, or forward the port "
                  "(ssh -L, kubectl port-forward).\n"};
  }
  if (request.hosts.size() != 1 || !NamesThisMachine(request.hosts[0])) {
    return Answer{403,
                  "The web console answers to no such Host: ask for http://localhost:PORT/ or "
                  "http://127.0.0.1:PORT/.\n"};
  }
  if (request.method != "GET" && request.method != "HEAD") {
    return Answer{405, "The web console only shows: ask by GET or HEAD.\n"};
  }
  return std::nullopt;
}

absl::StatusOr<Params> ReadParams(std::string_view query, std::span<const std::string_view> names) {
  Params params;
  if (query.size() > kMaxQueryBytes) {
    return Invalid("the query", absl::StrCat("longer than ", kMaxQueryBytes, " bytes"));
  }
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = std::min(pair.find('='), pair.size());
    const std::string name(pair.substr(0, equals));
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      return Invalid("\"" + name + "\"", "there is no such filter");
    }
    std::optional<std::string> value = Decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!value) return Invalid(name, "not printable text in UTF-8, percent-encoded");
    if (!params.emplace(name, *std::move(value)).second) return Invalid(name, "given twice");
  }
  std::erase_if(params, [](const auto& param) { return param.second.empty(); });
  return params;
}

std::string WriteParams(const Params& params) {
  std::string query;
  for (const auto& [name, value] : params) {
    query += (query.empty() ? "" : "&") + name + "=" + Encode(value);
  }
  return query;
}

absl::StatusOr<ctl::LogSelection> ReadLogParams(const Params& params) {
  const auto text = [&params](const char* name) {
    const auto found = params.find(name);
    return found == params.end() ? std::string() : found->second;
  };
  ctl::LogFlags flags{.client = text("client"),
                      .peer = text("peer"),
                      .workload = text("workload"),
                      .decision = text("decision"),
                      .since = text("since"),
                      .until = text("until"),
                      .host = text("host"),
                      .path = text("path"),
                      .method = text("method"),
                      .policy = text("policy"),
                      .request_id = text("request-id"),
                      .limit = kMaxRecords};
  constexpr char kNumber[] = "a record's number";
  absl::Status status =
      ReadNumber<uint32_t>(params, "status", 100, 999, "a number from 100 to 999", &flags.status);
  if (status.ok()) status = ReadNumber<int64_t>(params, "id", 1, INT64_MAX, kNumber, &flags.id);
  if (status.ok()) {
    status = ReadNumber<int64_t>(params, "before", 1, INT64_MAX, kNumber, &flags.before);
  }
  if (!status.ok()) return status;
  ctl::LogSelection selection;
  std::string error = ReadSelection(flags, &selection);
  // It speaks of flags.
  if (!error.empty()) return absl::InvalidArgumentError(error.substr(error.find_first_not_of('-')));
  selection.query.set_before_id(flags.before);
  return selection;
}

}  // namespace whence::console
