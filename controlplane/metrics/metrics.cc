#include "controlplane/metrics/metrics.h"

#include <cstdio>

namespace whence::metrics {

void TextWriter::Family(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  text_.append(name).append(" ").append(type).append("\n");
}

void TextWriter::Sample(uint64_t value, Labels labels) {
  SampleText(std::to_string(value), labels);
}

void TextWriter::Sample(double value, Labels labels) {
  char text[32];
  int size = std::snprintf(text, sizeof text, "%.9g", value);
  SampleText(std::string_view(text, static_cast<size_t>(size)), labels);
}

void TextWriter::SampleText(std::string_view value, Labels labels) {
  text_ += name_;
  char separator = '{';
  for (const auto& [key, label] : labels) {
    text_ += separator;
    text_.append(key).append("=\"");
    for (char c : label) {
      if (c == '\n') {
        text_ += "\\n";
        continue;
      }
      if (c == '"' || c == '\\') text_ += '\\';
      text_ += c;
    }
    text_ += '"';
    separator = ',';
  }
  if (separator == ',') text_ += '}';
  text_.append(" ").append(value).append("\n");
}

}  // namespace whence::metrics
