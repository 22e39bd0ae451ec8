#include "ipc/json_writer.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/byte_scan.h"
#include "ipc/utf8.h"

namespace apm::ipc {
namespace {

void AppendUnicodeEscape(uint8_t byte, std::string& out) {
  constexpr char kHex[] = "0123456789abcdef";
  const char escape[] = {
      '\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 0xF]};
  out.append(escape, sizeof(escape));
}

void AppendEscape(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      AppendUnicodeEscape(static_cast<uint8_t>(c), out);
  }
}

}  // namespace

void AppendJsonEscaped(std::string_view text, std::string& out) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    const char* const special = FindJsonSpecial(at, end);
    out.append(at, static_cast<size_t>(special - at));
    if (special == end) return;
    at = special;
    if (static_cast<uint8_t>(*at) < 0x80) {
      AppendEscape(*at++, out);
      continue;
    }
    const Utf8Sequence sequence = ReadUtf8(at, end);
    if (sequence.valid) {
      out.append(at, sequence.bytes);
    } else {
      out += kReplacementCharacter;
    }
    at += sequence.bytes;
  }
}

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  AppendJsonEscaped(text, out);
  out += '"';
}

}  // namespace apm::ipc
