#include "common/http/http_date.h"

#include <cstring>
#include <ctime>

namespace whence::http {
namespace {

// Names by index, three letters each; strftime would take those of the locale.
constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";

void PutDigits(char* end, int value, int digits) {
  for (; digits > 0; --digits, value /= 10) *--end = static_cast<char>('0' + value % 10);
}

void PutName(char* at, std::string_view names, int index) {
  std::memcpy(at, names.data() + 3 * index, 3);
}

}  // namespace

void HttpDate::Format(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  gmtime_r(&time, &parts);
  constexpr std::string_view kForm = "Sun, 00 Nov 0000 00:00:00 GMT";
  static_assert(kForm.size() == sizeof(text_));
  char* const text = text_.data();
  std::memcpy(text, kForm.data(), kForm.size());
  PutName(text, kDays, parts.tm_wday);
  PutDigits(text + 7, parts.tm_mday, 2);
  PutName(text + 8, kMonths, parts.tm_mon);
  PutDigits(text + 16, parts.tm_year + 1900, 4);
  PutDigits(text + 19, parts.tm_hour, 2);
  PutDigits(text + 22, parts.tm_min, 2);
  PutDigits(text + 25, parts.tm_sec, 2);
  seconds_ = seconds;
}

}  // namespace whence::http
