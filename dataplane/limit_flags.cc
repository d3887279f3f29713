#include "dataplane/limit_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <iterator>
#include <variant>

#include "common/http/field_set.h"
#include "dataplane/proxy/buffer.h"
#include "dataplane/quantity.h"

namespace whence {
namespace {

using proxy::Limits;
using std::chrono::milliseconds;

struct Row {
  const char* flag;
  const char* help;
  std::variant<uint32_t Limits::*, milliseconds Limits::*> field;
  uint64_t least, most;  // milliseconds for durations
};

constexpr uint64_t kDay = 86'400'000;
const Row kRows[] = {
    {"--max-connections", "Downstream connections of one worker; what comes beyond is reset",
     &Limits::max_connections, 1, 10'000'000},
    {"--max-requests-per-connection",
     "A downstream connection ends politely after that many; 0: never",
     &Limits::max_requests_per_connection, 0, UINT32_MAX},
    // A head is parsed within one buffer.
    {"--max-header-bytes", "Size of a request or response head: 431 or 502 beyond",
     &Limits::max_header_bytes, 1024, proxy::BufferPool::kNormal},
    {"--max-header-fields", "Field lines of a head: 431 or 502 beyond", &Limits::max_header_fields,
     1, http::FieldSet::kCapacity},
    {"--listen-backlog", "Connections that wait to be accepted, per worker and listener",
     &Limits::listen_backlog, 1, 1'000'000},
    {"--detection-timeout", "Silence after which a port of unknown protocol is taken as TCP",
     &Limits::detection_timeout, 1, kDay},
    {"--header-timeout", "From the first byte of a request head to its last: 408 beyond",
     &Limits::header_timeout, 1, kDay},
    {"--keep-alive-timeout", "A client's connection without a request", &Limits::keep_alive_timeout,
     1, kDay},
    {"--stream-idle-timeout", "A request or response that moves no byte: 408 or 504",
     &Limits::stream_idle_timeout, 1, kDay},
    {"--tcp-idle-timeout", "A TCP connection or tunnel that moves no byte",
     &Limits::tcp_idle_timeout, 1, kDay},
    {"--connect-timeout", "Connecting upstream: 504 beyond", &Limits::connect_timeout, 1, kDay},
    {"--pool-idle-timeout", "An unused upstream connection of a gateway",
     &Limits::pool_idle_timeout, 1, kDay},
    {"--max-pool-idle", "Unused upstream connections of a gateway, per worker and endpoint",
     &Limits::max_idle_per_endpoint, 0, 1'000'000},
};

std::string DurationText(uint64_t ms) {
  if (ms % 3'600'000 == 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0) return std::to_string(ms / 60'000) + "m";
  if (ms % 1'000 == 0) return std::to_string(ms / 1'000) + "s";
  return std::to_string(ms) + "ms";
}

std::string Text(const Row& row, uint64_t value) {
  return row.field.index() == 0 ? std::to_string(value) : DurationText(value);
}

uint64_t Value(const Row& row, const Limits& limits) {
  if (const auto* number = std::get_if<0>(&row.field)) return limits.**number;
  return static_cast<uint64_t>((limits.*std::get<1>(row.field)).count());
}

std::optional<uint64_t> Parse(const Row& row, const std::string& text) {
  const auto value = row.field.index() == 0 ? ParseQuantity(text, {{"", 1}}) : ParseDuration(text);
  if (!value || *value < row.least || *value > row.most) return std::nullopt;
  return value;
}

}  // namespace

LimitFlags::LimitFlags() {
  for (const Row& row : kRows) texts_.push_back(Text(row, Value(row, Limits())));
}

void LimitFlags::Declare(CLI::App& app) {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    app.add_option(kRows[i].flag, texts_[i], kRows[i].help)
        ->capture_default_str()
        ->group("Limits and timeouts (each has a metric that says when it was hit)");
  }
}

std::string LimitFlags::Apply(Limits* limits) const {
  for (size_t i = 0; i < std::size(kRows); ++i) {
    const Row& row = kRows[i];
    const auto value = Parse(row, texts_[i]);
    if (!value) {
      return std::string(row.flag) + " \"" + texts_[i] + "\": give " + Text(row, row.least) +
             " to " + Text(row, row.most);
    }
    if (const auto* number = std::get_if<0>(&row.field)) {
      limits->** number = static_cast<uint32_t>(*value);
    } else {
      limits->*std::get<1>(row.field) = milliseconds(*value);
    }
  }
  return "";
}

}  // namespace whence
