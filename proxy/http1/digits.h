// Numbers on the wire. Library parsers accept signs, white space, locales or
// prefixes that HTTP does not, and two readers of "+5" are one smuggled
// request.

#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace apm::http1 {

// 2^63 - 1, the most that any reader's signed 64 bits hold.
inline constexpr uint64_t kMaxDecimal = std::numeric_limits<int64_t>::max();

// 1*DIGIT up to kMaxDecimal.
inline std::optional<uint64_t> ParseDecimal(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(c - '0');
    if (value > (kMaxDecimal - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

// The value of a HEXDIG, or -1.
constexpr int HexDigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace apm::http1
