#include "ipc/json_writer.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ipc/byte_scan.h"
#include "ipc/utf8.h"

namespace apm::ipc {
namespace {

// A control character in the six bytes that always work.
std::array<char, 6> UnicodeEscape(char c) {
  constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<uint8_t>(c);
  return {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 0xF]};
}

// The two-byte escape of `c`, or nothing if it has none.
std::string_view ShortEscape(char c) {
  switch (c) {
    case '"':
      return R"(\")";
    case '\\':
      return R"(\\)";
    case '\n':
      return R"(\n)";
    case '\r':
      return R"(\r)";
    case '\t':
      return R"(\t)";
    default:
      return {};
  }
}

// Hands `text`, escaped, to `write` piece by piece.
template <typename Write>
void Escape(std::string_view text, Write write) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    const char* const special = FindJsonSpecial(at, end);
    write(std::string_view(at, static_cast<size_t>(special - at)));
    if (special == end) return;
    at = special + 1;
    if (const std::string_view escape = ShortEscape(*special);
        !escape.empty()) {
      write(escape);
    } else if (static_cast<uint8_t>(*special) < 0x80) {
      const std::array<char, 6> unicode = UnicodeEscape(*special);
      write(std::string_view(unicode.data(), unicode.size()));
    } else {
      const Utf8Sequence sequence = ReadUtf8(special, end);
      at = special + sequence.bytes;
      write(sequence.valid ? std::string_view(special, sequence.bytes)
                           : kReplacementCharacter);
    }
  }
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  Escape(text, [&out](std::string_view piece) { out += piece; });
  out += '"';
}

void JsonWriter::EscapeRest(std::string_view text) {
  Escape(text, [this](std::string_view piece) { Raw(piece); });
}

void JsonWriter::EscapeLowerRest(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), byte_scan_internal::ToLower);
  EscapeRest(lower);
}

}  // namespace apm::ipc
