// Finds the next byte that needs attention, sixteen at a time: the inner loops
// of reading and writing JSON.
//
// SSE2 is part of every x86-64; elsewhere a loop does all of it. Inline, since
// most texts are a step or two: a call would cost as much as the work.

#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace apm::ipc {
namespace byte_scan_internal {

inline constexpr char kLastControl = 0x1f;

// Signed, so that what is beyond ASCII is below it.
inline bool IsJsonSpecial(char c) {
  return static_cast<int8_t>(c) <= kLastControl || c == '"' || c == '\\';
}

inline bool IsNonJson(char c) {
  return static_cast<uint8_t>(c) <= kLastControl && c != '\t' && c != '\n' &&
         c != '\r';
}

#ifdef __SSE2__
inline constexpr ptrdiff_t kStep = 16;

inline __m128i Equal(__m128i bytes, char c) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

// All ones where a byte is a control character: unsigned, as a signed
// comparison would count bytes beyond ASCII too.
inline __m128i IsControl(__m128i bytes) {
  return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(kLastControl)),
                        bytes);
}

inline unsigned Mask(__m128i bytes) {
  return static_cast<unsigned>(_mm_movemask_epi8(bytes));
}

// A bit for each byte that the functions of the same name find.

inline unsigned JsonSpecialMask(__m128i bytes) {
  const __m128i special = _mm_or_si128(
      _mm_or_si128(Equal(bytes, '"'), Equal(bytes, '\\')), IsControl(bytes));
  // The top bit of each byte is its own "beyond ASCII".
  return Mask(_mm_or_si128(special, bytes));
}

inline unsigned NonJsonMask(__m128i bytes) {
  const __m128i space = _mm_or_si128(
      _mm_or_si128(Equal(bytes, '\t'), Equal(bytes, '\n')), Equal(bytes, '\r'));
  return Mask(_mm_andnot_si128(space, IsControl(bytes)));
}

inline __m128i Load16(const char* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// The bytes of the first Word of [from, end) and of its last one, in turn.
template <typename Word>
inline __m128i LoadEnds(const char* from, const char* end) {
  Word first, last;
  memcpy(&first, from, sizeof first);
  memcpy(&last, end - sizeof last, sizeof last);
  if constexpr (sizeof(Word) == 8) return _mm_set_epi64x(last, first);
  return _mm_set_epi32(last, first, last, first);
}

// Texts shorter than a step are looked at as two halves that overlap.
template <auto kMaskOf, typename Word>
inline const char* FindInHalves(const char* from, const char* end) {
  constexpr int kHalf = sizeof(Word);
  const unsigned mask = kMaskOf(LoadEnds<Word>(from, end));
  if (mask == 0) return end;
  const int bit = std::countr_zero(mask);
  return bit < kHalf ? from + bit : end - 2 * kHalf + bit;
}

// A longer text ends in a step that overlaps the one before it. Heads are full
// of short strings: a loop over their bytes costs several times as much.
template <auto kMaskOf, auto kMatches>
inline const char* Find(const char* from, const char* end) {
  if (end - from >= kStep) {
    for (; end - from > kStep; from += kStep) {
      const unsigned mask = kMaskOf(Load16(from));
      if (mask != 0) return from + std::countr_zero(mask);
    }
    const unsigned mask = kMaskOf(Load16(end - kStep));
    return mask == 0 ? end : end - kStep + std::countr_zero(mask);
  }
  if (end - from >= 8) return FindInHalves<kMaskOf, int64_t>(from, end);
  if (end - from >= 4) return FindInHalves<kMaskOf, int32_t>(from, end);
  while (from != end && !kMatches(*from)) ++from;
  return from;
}
#endif

}  // namespace byte_scan_internal

// The first byte in [from, end) that a JSON string cannot simply contain: a
// quote, a backslash, a control character, or one beyond ASCII, where UTF-8
// has to be checked. `end` if there is none.
inline const char* FindJsonSpecial(const char* from, const char* end) {
  using namespace byte_scan_internal;
#ifdef __SSE2__
  return Find<JsonSpecialMask, IsJsonSpecial>(from, end);
#else
  while (from != end && !IsJsonSpecial(*from)) ++from;
  return from;
#endif
}

// The first byte in [from, end) that occurs nowhere in a JSON text: a control
// character other than tab, line feed and carriage return. `end` if there is
// none.
inline const char* FindNonJson(const char* from, const char* end) {
  using namespace byte_scan_internal;
#ifdef __SSE2__
  return Find<NonJsonMask, IsNonJson>(from, end);
#else
  while (from != end && !IsNonJson(*from)) ++from;
  return from;
#endif
}

}  // namespace apm::ipc
