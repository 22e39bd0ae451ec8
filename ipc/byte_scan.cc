// SSE2 is part of every x86-64; elsewhere the loops below do all of it.

#include "ipc/byte_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstdint>

namespace apm::ipc {
namespace {

constexpr uint8_t kLastControl = 0x1f;
constexpr uint8_t kLastAscii = 0x7f;

bool IsJsonSpecial(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte <= kLastControl || byte > kLastAscii || c == '"' || c == '\\';
}

bool IsNonJson(char c) {
  return static_cast<uint8_t>(c) <= kLastControl && c != '\t' && c != '\n' &&
         c != '\r';
}

#ifdef __SSE2__
constexpr int kStep = 16;

__m128i Load(const char* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

__m128i Equal(__m128i bytes, char c) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

// All ones where a byte is a control character: unsigned, as a signed
// comparison would count bytes beyond ASCII too.
__m128i IsControl(__m128i bytes) {
  return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(kLastControl)),
                        bytes);
}

unsigned Mask(__m128i bytes) {
  return static_cast<unsigned>(_mm_movemask_epi8(bytes));
}
#endif

}  // namespace

const char* FindJsonSpecial(const char* from, const char* end) {
#ifdef __SSE2__
  for (; end - from >= kStep; from += kStep) {
    const __m128i bytes = Load(from);
    const __m128i special = _mm_or_si128(
        _mm_or_si128(Equal(bytes, '"'), Equal(bytes, '\\')), IsControl(bytes));
    // The top bit of each byte is its own "beyond ASCII".
    const unsigned mask = Mask(_mm_or_si128(special, bytes));
    if (mask != 0) return from + std::countr_zero(mask);
  }
#endif
  while (from != end && !IsJsonSpecial(*from)) ++from;
  return from;
}

const char* FindNonJson(const char* from, const char* end) {
#ifdef __SSE2__
  for (; end - from >= kStep; from += kStep) {
    const __m128i bytes = Load(from);
    const __m128i space =
        _mm_or_si128(_mm_or_si128(Equal(bytes, '\t'), Equal(bytes, '\n')),
                     Equal(bytes, '\r'));
    const unsigned mask = Mask(_mm_andnot_si128(space, IsControl(bytes)));
    if (mask != 0) return from + std::countr_zero(mask);
  }
#endif
  while (from != end && !IsNonJson(*from)) ++from;
  return from;
}

}  // namespace apm::ipc
