#include "controlplane/ctl/csv.h"

#include "controlplane/ctl/text.h"

namespace whence::ctl {

std::string CsvCell(std::string_view value) {
  std::string text = Escape(value);
  // Blanks in front do not keep a spreadsheet from it. Full-width forms: Excel takes them, too.
  const size_t first = text.find_first_not_of(' ');
  const std::string_view rest =
      first == std::string::npos ? std::string_view() : std::string_view(text).substr(first);
  const auto begins = [rest](std::string_view sign) { return rest.substr(0, sign.size()) == sign; };
  for (std::string_view sign : {"=", "+", "-", "@", "＝", "＋", "－", "＠"}) {
    if (!begins(sign)) continue;
    text.insert(0, "'");
    break;
  }
  if (text.find_first_of(",\"") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string CsvLine(const std::vector<std::string>& values) {
  std::string line;
  for (size_t i = 0; i < values.size(); ++i) line += (i == 0 ? "" : ",") + CsvCell(values[i]);
  return line + "\r\n";
}

}  // namespace whence::ctl
