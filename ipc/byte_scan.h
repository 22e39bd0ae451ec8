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

// What a copy does to ASCII letters.
enum class LetterCase : uint8_t { kAsItIs, kLower };

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

// Where the first bit of a mask of LoadEnds() is in [from, end).
template <int kHalf>
inline const char* FoundInHalves(unsigned mask, const char* from,
                                 const char* end) {
  if (mask == 0) return end;
  const int bit = std::countr_zero(mask);
  return bit < kHalf ? from + bit : end - 2 * kHalf + bit;
}

// Texts shorter than a step are looked at as two halves that overlap.
template <auto kMaskOf, typename Word>
inline const char* FindInHalves(const char* from, const char* end) {
  return FoundInHalves<sizeof(Word)>(kMaskOf(LoadEnds<Word>(from, end)), from,
                                     end);
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

// Sets the bit that makes a small letter in the bytes from A to Z.
inline __m128i ToLower16(__m128i bytes) {
  const __m128i is_capital =
      _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8('A' - 1)),
                    _mm_cmplt_epi8(bytes, _mm_set1_epi8('Z' + 1)));
  return _mm_or_si128(bytes, _mm_and_si128(is_capital, _mm_set1_epi8(0x20)));
}

template <LetterCase kCase>
inline __m128i InCase(__m128i bytes) {
  return kCase == LetterCase::kLower ? ToLower16(bytes) : bytes;
}

// Copies sixteen bytes; the mask of those that are special.
template <LetterCase kCase>
inline unsigned CopyStep(const char* from, char* to) {
  const __m128i bytes = Load16(from);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), InCase<kCase>(bytes));
  return JsonSpecialMask(bytes);
}

// FindInHalves() and a copy.
template <LetterCase kCase, typename Word>
inline const char* CopyInHalves(const char* from, const char* end, char* to) {
  const __m128i bytes = LoadEnds<Word>(from, end);
  Word words[kStep / sizeof(Word)];
  _mm_storeu_si128(reinterpret_cast<__m128i*>(words), InCase<kCase>(bytes));
  memcpy(to, &words[0], sizeof(Word));
  memcpy(to + (end - from) - sizeof(Word), &words[1], sizeof(Word));
  return FoundInHalves<sizeof(Word)>(JsonSpecialMask(bytes), from, end);
}
#endif

inline char ToLower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

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

// FindJsonSpecial() and a copy in one pass: what is before the result is at
// `to`. May write more, but no byte behind to + (end - from).
template <LetterCase kCase>
inline const char* CopyJsonPlain(const char* from, const char* end, char* to) {
  using namespace byte_scan_internal;
#ifdef __SSE2__
  if (end - from >= kStep) {
    for (; end - from > kStep; from += kStep, to += kStep) {
      const unsigned mask = CopyStep<kCase>(from, to);
      if (mask != 0) return from + std::countr_zero(mask);
    }
    to -= kStep - (end - from);
    from = end - kStep;
    const unsigned mask = CopyStep<kCase>(from, to);
    return mask == 0 ? end : from + std::countr_zero(mask);
  }
  if (end - from >= 8) return CopyInHalves<kCase, int64_t>(from, end, to);
  if (end - from >= 4) return CopyInHalves<kCase, int32_t>(from, end, to);
#endif
  for (; from != end && !IsJsonSpecial(*from); ++from, ++to) {
    *to = kCase == LetterCase::kLower ? ToLower(*from) : *from;
  }
  return from;
}

}  // namespace apm::ipc
