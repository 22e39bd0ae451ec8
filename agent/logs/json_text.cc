#include "agent/logs/json_text.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/text/utf8.h"

namespace apm::logs {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// What stands after the backslash for `byte`; 0 if it has no short form.
char ShortEscape(char byte) {
  switch (byte) {
    case '"':
    case '\\':
      return byte;
    case '\t':
      return 't';
    case '\r':
      return 'r';
    default:
      return 0;
  }
}

bool IsPlain(char byte) {
  return static_cast<uint8_t>(byte) >= 0x20 &&
         static_cast<uint8_t>(byte) < 0x80 && byte != '"' && byte != '\\';
}

// "00XX": a control character.
std::optional<char> ReadControl(std::string_view digits) {
  if (digits.size() < 4 || digits[0] != '0' || digits[1] != '0') {
    return std::nullopt;
  }
  const size_t high = kHexDigits.find(digits[2]);
  const size_t low = kHexDigits.find(digits[3]);
  if (high > 1 || low == std::string_view::npos) return std::nullopt;
  return static_cast<char>(high * 16 + low);
}

}  // namespace

void AppendJsonText(std::string_view text, std::string& out) {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const char* plain = at;
    while (plain != end && IsPlain(*plain)) ++plain;
    out.append(at, plain);
    if (plain == end) return;
    at = plain;
    if (const char escape = ShortEscape(*at); escape != 0) {
      out += '\\';
      out += escape;
      ++at;
    } else if (static_cast<uint8_t>(*at) < 0x20) {
      out += "\\u00";
      out += kHexDigits[static_cast<uint8_t>(*at) / 16];
      out += kHexDigits[static_cast<uint8_t>(*at) % 16];
      ++at;
    } else {
      const Utf8Sequence sequence = ReadUtf8(at, end);
      if (sequence.valid) {
        out.append(at, sequence.bytes);
      } else {
        out += kReplacementCharacter;
      }
      at += sequence.bytes;
    }
  }
}

std::optional<std::string> ReadJsonText(std::string_view escaped) {
  std::string text;
  text.reserve(escaped.size());
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (static_cast<uint8_t>(escaped[i]) < 0x20 || escaped[i] == '"') {
      return std::nullopt;
    }
    if (escaped[i] != '\\') {
      text += escaped[i];
      continue;
    }
    if (++i == escaped.size()) return std::nullopt;
    switch (escaped[i]) {
      case '"':
      case '\\':
        text += escaped[i];
        break;
      case 't':
        text += '\t';
        break;
      case 'r':
        text += '\r';
        break;
      case 'u': {
        const auto control = ReadControl(escaped.substr(i + 1));
        if (!control) return std::nullopt;
        text += *control;
        i += 4;
        break;
      }
      default:
        return std::nullopt;
    }
  }
  return text;
}

}  // namespace apm::logs
