#include "agent/control/utf8.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace apm::control {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// RFC 3629, section 4: how long a sequence is by its first byte, and what the
// second byte may be. Later bytes are always 80..BF.
struct Lead {
  uint8_t first, last;  // Of the lead byte.
  size_t length;
  uint8_t second_low, second_high;
};
constexpr Lead kLeads[] = {
    {0x00, 0x7F, 1, 0x00, 0x00}, {0xC2, 0xDF, 2, 0x80, 0xBF},
    {0xE0, 0xE0, 3, 0xA0, 0xBF}, {0xE1, 0xEC, 3, 0x80, 0xBF},
    {0xED, 0xED, 3, 0x80, 0x9F}, {0xEE, 0xEF, 3, 0x80, 0xBF},
    {0xF0, 0xF0, 4, 0x90, 0xBF}, {0xF1, 0xF3, 4, 0x80, 0xBF},
    {0xF4, 0xF4, 4, 0x80, 0x8F},
};

bool Within(char byte, uint8_t low, uint8_t high) {
  const auto value = static_cast<uint8_t>(byte);
  return low <= value && value <= high;
}

// Length of the sequence that `bytes` begins with; 0 if it is not well formed.
size_t SequenceLength(std::string_view bytes) {
  const auto* lead = std::ranges::find_if(kLeads, [&](const Lead& candidate) {
    return Within(bytes[0], candidate.first, candidate.last);
  });
  if (lead == std::end(kLeads) || bytes.size() < lead->length) return 0;
  for (size_t i = 1; i < lead->length; ++i) {
    const bool good =
        i == 1 ? Within(bytes[1], lead->second_low, lead->second_high)
               : Within(bytes[i], 0x80, 0xBF);
    if (!good) return 0;
  }
  return lead->length;
}

}  // namespace

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t length = SequenceLength(bytes);
    text += length > 0 ? bytes.substr(0, length) : kReplacement;
    bytes.remove_prefix(std::max<size_t>(length, 1));
  }
  return text;
}

}  // namespace apm::control
