// The control plane's log: one line per event on stderr, `message key=value key=value`.
//
// The only unit that knows spdlog. Passed by reference to whoever has something to say; there is no
// global logger. Values may come from the network, so whatever is not printable ASCII, and quotes
// and blanks, are shown escaped: a line of the log is always one event.
#ifndef WHENCE_CONTROLPLANE_LOG_LOGGER_H_
#define WHENCE_CONTROLPLANE_LOG_LOGGER_H_

#include <concepts>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace spdlog {
class logger;
}

namespace whence::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

// "debug", "info", "warning", "error", "off".
std::optional<Level> ParseLevel(std::string_view name);

struct Field {
  Field(std::string_view field_key, std::string_view text) : key(field_key), value(text) {}
  template <typename Number>
  requires(std::integral<Number>) Field(std::string_view field_key, Number number)
      : key(field_key), value(std::to_string(number)) {}

  std::string_view key;  // a literal
  std::string value;
};

// `message key=value key="va lue"`, as a line shows it. Exposed for its test.
std::string FormatLine(std::string_view message, std::initializer_list<Field> fields);

// Thread-safe.
class Logger {
 public:
  explicit Logger(Level level);
  ~Logger();
  Logger(const Logger&) = delete;
  Logger& operator=(const Logger&) = delete;

  void Debug(std::string_view message, std::initializer_list<Field> fields = {}) const;
  void Info(std::string_view message, std::initializer_list<Field> fields = {}) const;
  void Warning(std::string_view message, std::initializer_list<Field> fields = {}) const;
  void Error(std::string_view message, std::initializer_list<Field> fields = {}) const;

 private:
  void Write(Level level, std::string_view message, std::initializer_list<Field> fields) const;

  const Level level_;
  const std::shared_ptr<spdlog::logger> logger_;
};

}  // namespace whence::log

#endif  // WHENCE_CONTROLPLANE_LOG_LOGGER_H_
