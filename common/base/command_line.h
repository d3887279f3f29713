// What the command lines of all programs have in common: variables for flags, words for what is wrong.
#ifndef WHENCE_COMMON_BASE_COMMAND_LINE_H_
#define WHENCE_COMMON_BASE_COMMAND_LINE_H_

#include <cctype>
#include <string>
#include <string_view>

namespace whence {

// "dry-run" -> "WHENCE_DRY_RUN".
inline std::string EnvironmentName(std::string_view flag) {
  std::string name = "WHENCE_";
  for (const char c : flag) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

// Gives every flag of `app` (a CLI::App; the core does not depend on CLI11) and of its commands an
// environment variable, unless it has one of another name already. Call it when all are declared.
template <typename App>
void NameEnvironment(App& app) {
  for (auto* option : app.get_options()) {
    const bool prints_only = option == app.get_help_ptr() || option == app.get_version_ptr();
    if (prints_only || option->get_lnames().empty() || !option->get_envname().empty()) continue;
    option->envname(EnvironmentName(option->get_lnames().front()));
  }
  for (auto* command : app.get_subcommands(nullptr)) NameEnvironment(*command);
}

// After `app` failed to parse: names the word that
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
