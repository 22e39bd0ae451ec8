#include "agent/config/utf8.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace apm::config {
namespace {

constexpr size_t kMaxQuotedBytes = 120;

}  // namespace

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

size_t CountCharacters(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(
                           text.begin(), text.end(), &IsContinuation));
}

size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const auto continues = [byte](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    const bool space = lead == '\t' || lead == '\r' || lead == '\n';
    return (lead >= 0x20 && lead != 0x7F) || space ? 1 : 0;
  }
  if (lead >= 0xC2 && lead <= 0xDF) return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    const bool overlong = lead == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = lead == 0xED && byte(1) > 0x9F;
    return continues(1) && continues(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    const bool overlong = lead == 0xF0 && byte(1) < 0x90;
    const bool beyond = lead == 0xF4 && byte(1) > 0x8F;
    const bool whole = continues(1) && continues(2) && continues(3);
    return whole && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (out.size() < text.size()) {
    const std::string_view rest = text.substr(out.size());
    const size_t size = CharacterBytes(rest);
    if (size == 0 || rest[0] == '\n' || rest[0] == '\r') {
      out.push_back('?');
    } else {
      out.append(rest.substr(0, size));
    }
  }
  return out;
}

std::string Quotable(std::string_view text) {
  if (text.size() <= kMaxQuotedBytes) return Printable(text);
  size_t end = kMaxQuotedBytes;
  while (end > 0 && IsContinuation(text[end])) --end;
  return Printable(text.substr(0, end)) + "...";
}

}  // namespace apm::config
