// Checks UTF-8 (RFC 3629), one sequence at a time.

#pragma once

#include <cstddef>
#include <string_view>

namespace apm {

// What starts at a position: a well-formed sequence of `bytes` bytes, or
// `bytes` bytes that one U+FFFD should replace (the "maximal subpart" of
// Unicode 15, 3.9, which Python and JavaScript count the same way).
struct Utf8Sequence {
  size_t bytes;
  bool valid;
};

// REQUIRES: from != end.
Utf8Sequence ReadUtf8(const char* from, const char* end);

inline constexpr std::string_view kReplacementCharacter =
    "\xEF\xBF\xBD";  // U+FFFD

}  // namespace apm
