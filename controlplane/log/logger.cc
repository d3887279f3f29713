#include "controlplane/log/logger.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <cstdio>

namespace whence::log {
namespace {

bool IsPlain(char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '='; }

void AppendEscaped(std::string_view text, std::string* out) {
  for (char c : text) {
    if (c == '"' || c == '\\') {
      *out += '\\';
      *out += c;
    } else if (c >= ' ' && c < 0x7f) {
      *out += c;
    } else {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", static_cast<unsigned char>(c));
      *out += escape;
    }
  }
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      break;
  }
  return spdlog::level::off;
}

}  // namespace

std::optional<Level> ParseLevel(std::string_view name) {
  if (name == "debug") return Level::kDebug;
  if (name == "info") return Level::kInfo;
  if (name == "warning") return Level::kWarning;
  if (name == "error") return Level::kError;
  if (name == "off") return Level::kOff;
  return std::nullopt;
}

std::string FormatLine(std::string_view message, std::initializer_list<Field> fields) {
  std::string line;
  AppendEscaped(message, &line);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    bool plain =
        !field.value.empty() && std::all_of(field.value.begin(), field.value.end(), IsPlain);
    if (!plain) line += '"';
    AppendEscaped(field.value, &line);
    if (!plain) line += '"';
  }
  return line;
}

Logger::Logger(Level level)
    : level_(level),
      logger_(std::make_shared<spdlog::logger>("whence",
                                               std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(ToSpdlog(level));
  logger_->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %v", spdlog::pattern_time_type::utc);
  logger_->flush_on(spdlog::level::debug);  // stderr: what was said before a crash is what matters
}

Logger::~Logger() = default;

void Logger::Write(Level level, std::string_view message,
                   std::initializer_list<Field> fields) const {
  if (level < level_) return;
  // The string form, so that braces in the text are text.
  std::string line = FormatLine(message, fields);
  logger_->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void Logger::Debug(std::string_view message, std::initializer_list<Field> fields) const {
  Write(Level::kDebug, message, fields);
}
void Logger::Info(std::string_view message, std::initializer_list<Field> fields) const {
  Write(Level::kInfo, message, fields);
}
void Logger::Warning(std::string_view message, std::initializer_list<Field> fields) const {
  Write(Level::kWarning, message, fields);
}
void Logger::Error(std::string_view message, std::initializer_list<Field> fields) const {
  Write(Level::kError, message, fields);
}

}  // namespace whence::log
