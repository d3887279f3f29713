// One access record as a line: for people, and for programs.
#ifndef WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_
#define WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/ctl/log_selection.h"
#include "whence/v1/admin.pb.h"

namespace whence::ctl {

// Headings of the table, the width each column keeps, and a record's cells (not escaped yet).
std::vector<std::string> LogHeadings();
std::vector<size_t> LogWidths();
std::vector<std::string> LogCells(const v1::LogRow& row);

// The columns of the database's `access_log` view, and a record's values in that order; and
// `dropped`, as in the JSON form.
std::vector<std::string> LogColumns();
std::vector<std::string> LogValues(const v1::LogRow& row);

// One JSON object with the record's number and the columns of the database's `access_log` view, and a newline. Text that is
// no UTF-8 cannot be a JSON string as it is: then `NAME_base64` has its exact bytes besides.
std::string LogJson(const v1::LogRow& row);

// Builds such an object. Names are literals.
class JsonLine {
 public:
  void Text(const char* name, const std::string& value);
  // Null where there is none: an empty string would be a value.
  void Optional(const char* name, const std::string& value);
  void Number(const char* name, uint64_t value);
  std::string Finish() { return text_ + "}\n"; }

 private:
  void Name(const std::string& name);
  std::string text_;
};

// 16 bytes, IPv4 in mapped form; anything else is no address: "".
std::string AddressText(const std::string& bytes);

// What to ask the server now.
v1::LogQuery QueryOf(const LogSelection& selection);
int64_t NowMicroseconds();

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_
