// Who may read the console, and what is asked of it.
//
// It shows who came to whom, and asks for no password: so it answers this machine only, whatever
// address the port listens on. And since a browser on this machine runs other people's pages, it
// answers only to names that no stranger's DNS can point here (DNS rebinding).
//
// Pure.
#ifndef WHENCE_CONTROLPLANE_CONSOLE_REQUEST_H_
#define WHENCE_CONTROLPLANE_CONSOLE_REQUEST_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/ctl/log_selection.h"

namespace whence::console {

struct Request {
  std::string method;
  std::string target;              // path and query, as received
  std::string peer;                // the address of the direct peer
  std::vector<std::string> hosts;  // every Host line
};

struct Answer {
  int status = 200;
  std::string body;
  bool is_html = false;  // else one line of plain text
};

// Nullopt: go on. Methods other than GET and HEAD are refused as well.
std::optional<Answer> Refuse(const Request& request);

// Values that are empty, as a form sends them, are left out.
using Params = std::map<std::string, std::string>;

// InvalidArgument says what is wrong: too long, a name that is not one of `names` or comes twice, a
// value that is not percent-encoded printable text.
absl::StatusOr<Params> ReadParams(std::string_view query, std::span<const std::string_view> names);
// "a=1&b=%26": what ReadParams reads again.
std::string WriteParams(const Params& params);

// The filters of whencectl logs, and `before`, by the names of its flags.
inline constexpr std::string_view kLogParams[] = {
    "client", "peer", "workload", "decision",   "policy", "status", "method",
    "host",   "path", "since",    "request-id", "until",  "id",     "before"};
inline constexpr int kMaxRecords = 100;
// InvalidArgument says what is wrong, in whencectl's words.
absl::StatusOr<ctl::LogSelection> ReadLogParams(const Params& params);

inline constexpr std::string_view kTopParams[] = {"since"};

}  // namespace whence::console

#endif  // WHENCE_CONTROLPLANE_CONSOLE_REQUEST_H_
