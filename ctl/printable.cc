#include "ctl/printable.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_format.h>

namespace apm::ctl {
namespace {

bool IsControl(uint8_t byte) {
  return (byte < 0x20 && byte != '\t' && byte != '\n') || byte == 0x7F;
}

bool IsC1Control(std::string_view rest) {
  return rest.size() >= 2 && rest[0] == '\xC2' &&
         static_cast<uint8_t>(rest[1]) < 0xA0;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<uint8_t>(text[i]);
    if (IsControl(byte)) {
      absl::StrAppendFormat(&result, "\\x%02x", byte);
    } else if (IsC1Control(text.substr(i))) {
      ++i;
      absl::StrAppendFormat(&result, "\\x%02x", static_cast<uint8_t>(text[i]));
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace apm::ctl
