#include "proxy/http1/field.h"

#include <array>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace apm::http1 {
namespace {

// Per byte: its lower case where it may stand in a token, else 0. One table
// answers both questions of the hottest loop.
constexpr std::array<char, 256> MakeLowerToken() {
  std::array<char, 256> table{};
  for (char c = '0'; c <= '9'; ++c) table[static_cast<uint8_t>(c)] = c;
  for (char c = 'a'; c <= 'z'; ++c) {
    table[static_cast<uint8_t>(c)] = c;
    table[static_cast<uint8_t>(c - 'a' + 'A')] = c;
  }
  for (char c : std::string_view("!#$%&'*+-.^_`|~")) {
    table[static_cast<uint8_t>(c)] = c;
  }
  return table;
}
constexpr std::array<char, 256> kLowerToken = MakeLowerToken();

constexpr bool IsWhitespace(char c) { return c == ' ' || c == '\t'; }

constexpr bool IsFieldValueByte(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return (byte >= 0x20 && byte != 0x7f) || c == '\t';
}

constexpr char ToLower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

#ifdef __SSE2__
constexpr size_t kBlockBytes = 16;

// IsFieldValueByte for sixteen bytes at once.
bool IsFieldValueBlock(const char* bytes) {
  __m128i block;
  __builtin_memcpy(&block, bytes, kBlockBytes);
  const __m128i is_c0 = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)),
                                       block);  // Unsigned <= 0x1f.
  const __m128i is_tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
  const __m128i is_del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  const __m128i refused = _mm_or_si128(_mm_andnot_si128(is_tab, is_c0), is_del);
  return _mm_movemask_epi8(refused) == 0;
}
#endif

const char* NameError(std::span<const char> line, size_t name_size) {
  if (name_size == line.size()) return "a header line has no colon";
  if (line[name_size] == ':') return "a header name is empty";
  if (!IsWhitespace(line[name_size])) return "a header name is not a token";
  return name_size == 0 ? "a header line begins with white space"
                        : "white space in or after a header name";
}

}  // namespace

bool IsToken(std::string_view bytes) {
  for (char c : bytes) {
    if (kLowerToken[static_cast<uint8_t>(c)] == 0) return false;
  }
  return !bytes.empty();
}

bool IsFieldValue(std::string_view bytes) {
#ifdef __SSE2__
  if (bytes.size() >= kBlockBytes) {
    const char* const last_block = bytes.data() + bytes.size() - kBlockBytes;
    for (const char* block = bytes.data(); block < last_block;
         block += kBlockBytes) {
      if (!IsFieldValueBlock(block)) return false;
    }
    return IsFieldValueBlock(
        last_block);  // Overlaps; cheaper than a tail loop.
  }
#endif
  for (char c : bytes) {
    if (!IsFieldValueByte(c)) return false;
  }
  return true;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ToLower(a[i]) != ToLower(b[i])) return false;
  }
  return true;
}

std::string_view TrimWhitespace(std::string_view bytes) {
  while (!bytes.empty() && IsWhitespace(bytes.front())) bytes.remove_prefix(1);
  while (!bytes.empty() && IsWhitespace(bytes.back())) bytes.remove_suffix(1);
  return bytes;
}

const char* ParseFieldLine(std::span<char> line, Field& field) {
  size_t name_size = 0;
  for (; name_size < line.size(); ++name_size) {
    const char lower = kLowerToken[static_cast<uint8_t>(line[name_size])];
    if (lower == 0) break;
    line[name_size] = lower;
  }
  if (name_size == 0 || name_size == line.size() || line[name_size] != ':') {
    return NameError(line, name_size);
  }
  const std::string_view all(line.data(), line.size());
  const std::string_view value = all.substr(name_size + 1);
  if (!IsFieldValue(value)) return "a control byte in a header value";
  field = {all.substr(0, name_size), TrimWhitespace(value)};
  return nullptr;
}

}  // namespace apm::http1
