#include "agent/control/utf8.h"

#include <string>
#include <string_view>

#include "base/text/utf8.h"

namespace apm::control {

std::string ToUtf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  const char* const end = bytes.data() + bytes.size();
  for (const char* at = bytes.data(); at != end;) {
    const Utf8Sequence sequence = ReadUtf8(at, end);
    if (sequence.valid) {
      text.append(at, sequence.bytes);
    } else {
      text += kReplacementCharacter;
    }
    at += sequence.bytes;
  }
  return text;
}

}  // namespace apm::control
