// Comma-separated values (RFC 4180) that are safe to open.
#ifndef WHENCE_CONTROLPLANE_CTL_CSV_H_
#define WHENCE_CONTROLPLANE_CTL_CSV_H_

#include <string>
#include <string_view>
#include <vector>

namespace whence::ctl {

// One cell. Controls and bytes that are no UTF-8 are escaped as everywhere (text.h). A spreadsheet
// takes a cell that begins with = + - or @ for a formula, and would run what a stranger wrote into
// a path: such a cell gets an apostrophe in front, by which spreadsheets know text.
std::string CsvCell(std::string_view value);

// With the line's end, CR LF.
std::string CsvLine(const std::vector<std::string>& values);

}  // namespace whence::ctl

#endif  // WHENCE_CONTROLPLANE_CTL_CSV_H_
