#include "proxy/http1/field.h"

#include <array>
#include <cstdint>
#include <cstring>

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

// Per byte: true if it may stand in a field value.
constexpr std::array<bool, 256> MakeValueBytes() {
  std::array<bool, 256> table{};
  for (size_t c = 0x20; c < table.size(); ++c) table[c] = c != 0x7f;
  table['\t'] = true;
  return table;
}
constexpr std::array<bool, 256> kValueBytes = MakeValueBytes();

constexpr std::array<char, 256> MakeLowerCase() {
  std::array<char, 256> table{};
  for (size_t c = 0; c < table.size(); ++c) {
    const bool upper = c >= 'A' && c <= 'Z';
    table[c] = static_cast<char>(upper ? c - 'A' + 'a' : c);
  }
  return table;
}
constexpr std::array<char, 256> kLowerCase = MakeLowerCase();

constexpr char ToLower(char c) { return kLowerCase[static_cast<uint8_t>(c)]; }

#ifdef __SSE2__
constexpr size_t kBlockBytes = sizeof(__m128i);
constexpr size_t kHalfBytes = kBlockBytes / 2;

// What kValueBytes says, for sixteen bytes at once.
bool IsFieldValueBlock(__m128i block) {
  const __m128i is_c0 = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)),
                                       block);  // Unsigned <= 0x1f.
  const __m128i is_tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
  const __m128i is_del = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
  const __m128i refused = _mm_or_si128(_mm_andnot_si128(is_tab, is_c0), is_del);
  return _mm_movemask_epi8(refused) == 0;
}

__m128i LoadBlock(const char* bytes) {
  __m128i block;
  std::memcpy(&block, bytes, sizeof(block));
  return block;
}

// The last block overlaps the one before it: cheaper than a tail loop.
bool IsLongFieldValue(std::string_view bytes) {
  const char* const last = bytes.data() + bytes.size() - kBlockBytes;
  for (const char* at = bytes.data(); at < last; at += kBlockBytes) {
    if (!IsFieldValueBlock(LoadBlock(at))) return false;
  }
  return IsFieldValueBlock(LoadBlock(last));
}

// Half a block from either end.
bool IsMediumFieldValue(std::string_view bytes) {
  uint64_t first = 0;
  uint64_t last = 0;
  std::memcpy(&first, bytes.data(), kHalfBytes);
  std::memcpy(&last, bytes.data() + bytes.size() - kHalfBytes, kHalfBytes);
  return IsFieldValueBlock(
      _mm_set_epi64x(static_cast<int64_t>(last), static_cast<int64_t>(first)));
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
  if (bytes.size() >= kBlockBytes) return IsLongFieldValue(bytes);
  if (bytes.size() >= kHalfBytes) return IsMediumFieldValue(bytes);
#endif
  for (char c : bytes) {
    if (!kValueBytes[static_cast<uint8_t>(c)]) return false;
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
