// What an agent tells people: lines on stderr.
//
// An interface with std types only, so that spdlog stays in one unit; passed by reference from
// main, so that there is no global. Only the shell logs: the core returns reasons.
#ifndef WHENCE_DATAPLANE_LOG_H_
#define WHENCE_DATAPLANE_LOG_H_

#include <memory>
#include <string_view>

namespace whence {

// Thread-safe.
class Log {
 public:
  enum class Level { kDebug, kInfo, kWarning, kError };

  virtual ~Log() = default;
  // `message` is printed with control characters escaped: it may quote what came from the network.
  virtual void Write(Level level, std::string_view message) = 0;

  void Debug(std::string_view message) { Write(Level::kDebug, message); }
  void Info(std::string_view message) { Write(Level::kInfo, message); }
  void Warning(std::string_view message) { Write(Level::kWarning, message); }
  void Error(std::string_view message) { Write(Level::kError, message); }
};

// "2026-11-22T23:04:05.678901Z info message", one line each, unbuffered.
std::unique_ptr<Log> MakeStderrLog(Log::Level least);

}  // namespace whence

#endif  // WHENCE_DATAPLANE_LOG_H_
