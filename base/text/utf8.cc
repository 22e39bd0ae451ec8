#include "base/text/utf8.h"

#include <cstddef>
#include <cstdint>

namespace apm {
namespace {

// Table 3-7 of Unicode 15: a lead byte fixes the number of bytes and the
// range of the second one; all further bytes are 80..BF.
struct Lead {
  size_t bytes;  // 0: no lead byte.
  uint8_t second_min = 0x80;
  uint8_t second_max = 0xBF;
};

constexpr Lead ClassifyLead(uint8_t byte) {
  if (byte < 0x80) return {1};
  if (byte < 0xC2) return {0};  // Continuation bytes and overlong forms.
  if (byte < 0xE0) return {2};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};  // Else overlong.
  if (byte == 0xED) return {3, 0x80, 0x9F};  // Else a surrogate.
  if (byte < 0xF0) return {3};
  if (byte == 0xF0) return {4, 0x90, 0xBF};  // Else overlong.
  if (byte < 0xF4) return {4};
  if (byte == 0xF4) return {4, 0x80, 0x8F};  // Else beyond U+10FFFF.
  return {0};
}

}  // namespace

Utf8Sequence ReadUtf8(const char* from, const char* end) {
  const Lead lead = ClassifyLead(static_cast<uint8_t>(*from));
  if (lead.bytes == 0) return {1, false};
  const auto available = static_cast<size_t>(end - from);
  for (size_t i = 1; i < lead.bytes; ++i) {
    if (i == available) return {i, false};
    const auto byte = static_cast<uint8_t>(from[i]);
    const uint8_t min = i == 1 ? lead.second_min : 0x80;
    const uint8_t max = i == 1 ? lead.second_max : 0xBF;
    if (byte < min || byte > max) return {i, false};
  }
  return {lead.bytes, true};
}

}  // namespace apm
