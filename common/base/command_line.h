// What the command lines of all programs have in common: variables for flags, words for what is wrong.
#ifndef WHENCE_COMMON_BASE_COMMAND_LINE_H_
#define WHENCE_COMMON_BASE_COMMAND_LINE_H_

#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace whence {

// "dry-run" -> "WHENCE_DRY_RUN".
inline std::string EnvironmentName(std::string_view flag) {
  std::string name = "WHENCE_";
  for (const char c : flag) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

// Gives every flag of `app` (a CLI::App; the core does not depend on CLI11) an environment variable,
// unless it has one of another name already; those of its commands get theirs when they are called.
// Call it when all are declared.
//
// CLI11 reads the variables of all commands, called or not. Flags of several commands share what they
// write into, so the variable of one that was not called would undo a flag of the one that was.
template <typename App>
void NameEnvironment(App& app) {
  for (auto* option : app.get_options()) {
    const bool prints_only = option == app.get_help_ptr() || option == app.get_version_ptr();
    if (prints_only || option->get_lnames().empty() || !option->get_envname().empty()) continue;
    option->envname(EnvironmentName(option->get_lnames().front()));
  }
  for (auto* command : app.get_subcommands(nullptr)) {
    std::vector<std::string> own;
    for (auto* option : command->get_options()) {
      own.push_back(option->get_envname());
      option->envname("");
    }
    command->preparse_callback([command, own = std::move(own)](size_t) {
      auto name = own.begin();
      for (auto* option : command->get_options()) option->envname(*name++);
      NameEnvironment(*command);
    });
  }
}

// Says what is wrong with a whole number; empty: nothing. As a check of a flag: CLI11's own take signs
// and let numbers wrap around, or print their bounds as floating-point numbers, 300 digits long.
inline std::string CheckWholeNumber(const std::string& text, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  // With a 0 before it CLI11 would take it as octal.
  const bool is_number = error == std::errc() && rest == end && (text == "0" || text[0] != '0');
  if (is_number && number >= least && number <= most) return "";
  return "\"" + text + "\": give a whole number from " + std::to_string(least) +
         (most < UINT32_MAX ? " to " + std::to_string(most) : "");
}

// The same as what CLI11 takes for a check of a flag that writes into a `Number`.
template <typename Number>
auto WholeNumberFrom(uint64_t least, uint64_t most = std::numeric_limits<Number>::max()) {
  return [least, most](const std::string& text) { return CheckWholeNumber(text, least, most); };
}

// `error` speaks of flags. Adds which of them nobody typed, since they are variables.
template <typename App>
std::string NameVariables(const App& app, std::string error) {
  std::string variables;
  for (const auto* option : app.get_options()) {
    const std::string flag = option->get_name();
    const char* const value =
        option->get_envname().empty() ? nullptr : std::getenv(option->get_envname().c_str());
    if (value == nullptr || option->count() == 0) continue;
    // CLI11 does not tell where a value comes from, and has cut up those that are lists.
    std::string given;
    for (const std::string& part : option->results()) {
      if (!given.empty()) given += option->get_delimiter();
      given += part;
    }
    if (given != value) continue;
    for (size_t at = error.find(flag); at != std::string::npos; at = error.find(flag, at + 1)) {
      const size_t end = at + flag.size();
      const int next = end < error.size() ? static_cast<unsigned char>(error[end]) : 0;
      if (next == '-' || std::isalnum(next) != 0) continue;  // a longer flag
      variables += "; " + flag + " is set by the variable " + option->get_envname();
      break;
    }
  }
  error += variables;
  for (const auto* command : app.get_subcommands()) {
    error = NameVariables(*command, std::move(error));
  }
  return error;
}

// After `app` failed to parse: names the word that
// nobody expected, and the commands there are. CLI11 itself first asks for what is missing, which
// does not tell about a word that is spelled wrong. `otherwise`: what CLI11 says.
template <typename App>
std::string UsageError(const App& app, std::string_view otherwise) {
  const auto unexpected = app.remaining(/*recurse=*/true);
  if (unexpected.empty()) return NameVariables(app, std::string(otherwise));
  const std::string& word = unexpected.front();
  if (word.size() > 1 && word.front() == '-') return "unknown flag \"" + word + "\"";
  if (!app.get_subcommands().empty() || app.get_subcommands(nullptr).empty()) {
    return "unexpected argument \"" + word + "\"";
  }
  std::string known;
  for (const auto* command : app.get_subcommands(nullptr)) {
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  return "unknown command \"" + word + "\": give one of " + known;
}

}  // namespace whence

#endif  // WHENCE_COMMON_BASE_COMMAND_LINE_H_
