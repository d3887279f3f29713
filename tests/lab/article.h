// The acceptance table, on real programs.
#ifndef WHENCE_TESTS_LAB_ARTICLE_H_
#define WHENCE_TESTS_LAB_ARTICLE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/lab/mesh.h"

namespace whence::lab {

// One row, for one address family. `seen` is what the application saw, or what the client got where
// the application must not be reached; `log` what the access log says of it.
struct ArticleRow {
  int row = 0;
  Family family = Family::kIpv4;
  std::string what;
  std::string expected;
  std::string seen;
  std::string expected_log;
  std::string log;
  bool pass() const { return seen == expected && log == expected_log; }
};

// Runs rows 1 to 10 in order (3, 4, 6, 7, 9 and 10 over IPv6 as well, 9 and 10 with HTTP and TCP)
// and tells of each as soon as it is done. A row that cannot be run has the reason in `seen`.
// REQUIRES: a started mesh.
std::vector<ArticleRow> RunArticle(const Lab& lab, Mesh& mesh,
                                   const std::function<void(const ArticleRow&)>& tell);

std::string ToText(const ArticleRow& row);
// [{"row":3,"family":"ipv4","what":…,"expected":…,"seen":…,"expectedLog":…,"log":…,"pass":true},…]
std::string ToJson(const std::vector<ArticleRow>& rows);

}  // namespace whence::lab

#endif  // WHENCE_TESTS_LAB_ARTICLE_H_
