// The Date field of every answer (RFC 9110 6.6.1), formatted once a second.

#pragma once

#include <cstdint>
#include <string_view>

namespace apm::http1 {

// Owned by a shard. Thread-compatible.
class DateLine {
 public:
  // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" for seconds since 1970 UTC.
  // Valid until the next call.
  std::string_view At(int64_t unix_seconds);

 private:
  int64_t seconds_ = -1;
  char line_[37];
};

}  // namespace apm::http1
