#include "common/http/http_date.h"

#include <gtest/gtest.h>

namespace whence::http {
namespace {

TEST(HttpDateTest, WritesTheFixedForm) {
  const struct {
    int64_t seconds;
    std::string_view want;
  } kRows[] = {
      {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"},  // the example of RFC 9110
      {0, "Thu, 01 Jan 1970 00:00:00 GMT"},          {1709210096, "Thu, 29 Feb 2024 12:34:56 GMT"},
      {1709210096, "Thu, 29 Feb 2024 12:34:56 GMT"}, {4102444799, "Thu, 31 Dec 2099 23:59:59 GMT"},
  };
  HttpDate date;
  for (const auto& row : kRows) EXPECT_EQ(date.At(row.seconds), row.want);
}

}  // namespace
}  // namespace whence::http
