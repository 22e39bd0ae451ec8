#include "agent/config/utf8.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/text/utf8.h"

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
  if (text.empty()) return 0;
  const char first = text[0];
  const bool space = first == '\t' || first == '\r' || first == '\n';
  const auto byte = static_cast<unsigned char>(first);
  if ((byte < 0x20 && !space) || byte == 0x7F) return 0;
  const Utf8Sequence sequence =
      ReadUtf8(text.data(), text.data() + text.size());
  return sequence.valid ? sequence.bytes : 0;
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
