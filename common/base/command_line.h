// One way to say what is wrong with a command line.
#ifndef WHENCE_COMMON_BASE_COMMAND_LINE_H_
#define WHENCE_COMMON_BASE_COMMAND_LINE_H_

#include <string>
#include <string_view>

namespace whence {

// After `app` (a CLI::App; the core does not depend on CLI11) failed to parse: names the word that
// nobody expected, and the commands there are. CLI11 itself first asks for what is missing, which
// does not tell about a word that is spelled wrong. `otherwise`: what CLI11 says.
template <typename App>
std::string UsageError(const App& app, std::string_view otherwise) {
  const auto unexpected = app.remaining(/*recurse=*/true);
  if (unexpected.empty()) return std::string(otherwise);
  const std::string& word = unexpected.front();
  if (word.size() > 1 && word.front() == '-') return "unknown flag \"" + word + "\"";
  if (!app.get_subcommands().empty()) return "unexpected argument \"" + word + "\"";
  std::string known;
  for (const auto* command : app.get_subcommands(nullptr)) {
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  return "unknown command \"" + word + "\": give one of " + known;
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_COMMAND_LINE_H_
