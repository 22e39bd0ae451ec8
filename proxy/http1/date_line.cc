// The calendar is computed, not asked of the C library: gmtime_r() reads the
// time zone file on its first call, and the proxy may open no file.

#include "proxy/http1/date_line.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstring>

namespace apm::http1 {
namespace {

constexpr std::string_view kTemplate =
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                              "Thu", "Fri", "Sat"};
constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr",
                                                 "May", "Jun", "Jul", "Aug",
                                                 "Sep", "Oct", "Nov", "Dec"};

void PutDecimal(char* at, size_t digits, uint64_t value) {
  while (digits-- > 0) {
    at[digits] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
}

}  // namespace

std::string_view DateLine::At(int64_t unix_seconds) {
  static_assert(sizeof(line_) == kTemplate.size());
  if (unix_seconds == seconds_) return {line_, sizeof(line_)};
  seconds_ = unix_seconds;

  const std::chrono::sys_seconds now{std::chrono::seconds(unix_seconds)};
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(now - day);
  std::memcpy(line_, kTemplate.data(), sizeof(line_));
  std::memcpy(line_ + 6, kDays[std::chrono::weekday(day).c_encoding()], 3);
  PutDecimal(line_ + 11, 2, static_cast<unsigned>(date.day()));
  std::memcpy(line_ + 14, kMonths[static_cast<unsigned>(date.month()) - 1], 3);
  PutDecimal(line_ + 18, 4,
             static_cast<uint64_t>(static_cast<int>(date.year())));
  PutDecimal(line_ + 23, 2, static_cast<uint64_t>(time.hours().count()));
  PutDecimal(line_ + 26, 2, static_cast<uint64_t>(time.minutes().count()));
  PutDecimal(line_ + 29, 2, static_cast<uint64_t>(time.seconds().count()));
  return {line_, sizeof(line_)};
}

}  // namespace apm::http1
