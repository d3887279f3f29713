#include "controlplane/console/html.h"

#include "absl/strings/str_replace.h"
#include "common/base/utf8.h"
#include "controlplane/ctl/text.h"

namespace whence::console {

std::string EscapeHtml(std::string_view text) {
  std::string printable;
  for (const char c : ValidUtf8(text)) {
    const bool is_control = (c >= 0 && c < ' ') || c == '\x7f';
    printable += is_control ? std::string_view("\xef\xbf\xbd") : std::string_view(&c, 1);
  }
  return absl::StrReplaceAll(
      printable, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

Html& Html::Add(Markup markup) {
  text_ += markup.text();
  return *this;
}

Html& Html::Add(const Html& part) {
  text_ += part.text_;
  return *this;
}

Html& Html::Text(std::string_view text, size_t max_cells) {
  text_ += EscapeHtml(ctl::Shorten(ctl::Escape(text), max_cells));
  return *this;
}

Html& Html::Value(std::string_view text) {
  text_ += EscapeHtml(text);
  return *this;
}

Html& Html::Table(const std::vector<std::string>& headings, const std::vector<Row>& rows) {
  Add("<div class=\"wide\"><table>\n<thead><tr>");
  for (const std::string& heading : headings) Add("<th scope=\"col\">").Text(heading).Add("</th>");
  Add("</tr></thead>\n<tbody>\n");
  for (const Row& row : rows) {
    Add(row.is_bad ? Markup("<tr class=\"bad\">") : Markup("<tr>"));
    for (size_t i = 0; i < row.cells.size(); ++i) {
      const bool takes_rest = i + 1 == row.cells.size() && i + 1 < headings.size();
      if (takes_rest) {
        Add("<td colspan=\"").Value(std::to_string(headings.size() - i)).Add("\">");
      } else {
        Add("<td>");
      }
      Text(row.cells[i].empty() ? "-" : row.cells[i]).Add("</td>");
    }
    Add("</tr>\n");
  }
  return Add("</tbody></table></div>\n");
}

}  // namespace whence::console
