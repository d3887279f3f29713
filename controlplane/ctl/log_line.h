// One access record as a line: for people, and for programs.
#ifndef WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_
#define WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_

#include <string>
#include <vector>

#include "whence/v1/admin.pb.h"

namespace whence::ctl {

// Headings of the table, the width each column keeps, and a record's cells (not escaped yet).
std::vector<std::string> LogHeadings();
std::vector<size_t> LogWidths();
std::vector<std::string> LogCells(const v1::LogRow& row);

// One JSON object with the columns of the database's `access_log` view, and a newline. Text that is
// no UTF-8 cannot be a JSON string as it is: then `NAME_base64` has its exact bytes besides.
std::string LogJson(const v1::LogRow& row);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_LOG_LINE_H_
