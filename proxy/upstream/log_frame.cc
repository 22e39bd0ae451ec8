#include "proxy/upstream/log_frame.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace apm::upstream {
namespace {

bool IsControl(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte < 0x20 || byte == 0x7f;
}

void AppendEscaped(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (!IsControl(c)) {
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else {
      const auto byte = static_cast<uint8_t>(c);
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

std::string FormatLogLine(std::string_view level, std::string_view message,
                          std::string_view fields) {
  std::string line;
  line.reserve(level.size() + message.size() + fields.size() + 8);
  AppendEscaped(level.empty() ? "info" : level, line);
  line += ' ';
  AppendEscaped(message, line);
  if (!fields.empty()) line += ' ';
  for (const char c : fields) line += IsControl(c) ? ' ' : c;
  line += '\n';
  return line;
}

}  // namespace apm::upstream
