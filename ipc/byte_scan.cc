// SSE2 is part of every x86-64; elsewhere a loop does all of it.

#include "ipc/byte_scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace apm::ipc {
namespace {

constexpr char kLastControl = 0x1f;

// Signed, so that what is beyond ASCII is below it.
bool IsJsonSpecial(char c) {
  return static_cast<int8_t>(c) <= kLastControl || c == '"' || c == '\\';
}

bool IsNonJson(char c) {
  return static_cast<uint8_t>(c) <= kLastControl && c != '\t' && c != '\n' &&
         c != '\r';
}

#ifdef __SSE2__
constexpr ptrdiff_t kStep = 16;

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

// A bit for each byte that the functions of the same name find.

unsigned JsonSpecialMask(__m128i bytes) {
  const __m128i special = _mm_or_si128(
      _mm_or_si128(Equal(bytes, '"'), Equal(bytes, '\\')), IsControl(bytes));
  // The top bit of each byte is its own "beyond ASCII".
  return Mask(_mm_or_si128(special, bytes));
}

unsigned NonJsonMask(__m128i bytes) {
  const __m128i space = _mm_or_si128(
      _mm_or_si128(Equal(bytes, '\t'), Equal(bytes, '\n')), Equal(bytes, '\r'));
  return Mask(_mm_andnot_si128(space, IsControl(bytes)));
}

__m128i Load16(const char* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

// The first Word of [from, end) and its last one, over and over: a full step
// without a byte from elsewhere. REQUIRES: at least one Word between them.
template <typename Word>
__m128i LoadEnds(const char* from, const char* end) {
  Word words[kStep / sizeof(Word)];
  for (size_t i = 0; i < std::size(words); ++i) {
    memcpy(&words[i], i % 2 == 0 ? from : end - sizeof(Word), sizeof(Word));
  }
  return Load16(reinterpret_cast<const char*>(words));
}

// Heads are full of strings shorter than a step: they are looked at as two
// halves that overlap.
template <typename Word, typename MaskOf>
const char* FindInHalves(const char* from, const char* end, MaskOf mask_of) {
  constexpr int kHalf = sizeof(Word);
  const unsigned mask = mask_of(LoadEnds<Word>(from, end));
  if (mask == 0) return end;
  const int bit = std::countr_zero(mask);
  return bit < kHalf ? from + bit : end - 2 * kHalf + bit;
}

template <typename MaskOf, typename Matches>
const char* Find(const char* from, const char* end, MaskOf mask_of,
                 Matches matches) {
  for (; end - from >= kStep; from += kStep) {
    const unsigned mask = mask_of(Load16(from));
    if (mask != 0) return from + std::countr_zero(mask);
  }
  if (end - from >= 8) return FindInHalves<int64_t>(from, end, mask_of);
  if (end - from >= 4) return FindInHalves<int32_t>(from, end, mask_of);
  while (from != end && !matches(*from)) ++from;
  return from;
}
#else
template <typename Matches>
const char* Find(const char* from, const char* end, Matches matches) {
  while (from != end && !matches(*from)) ++from;
  return from;
}
#endif

}  // namespace

const char* FindJsonSpecial(const char* from, const char* end) {
#ifdef __SSE2__
  return Find(from, end, JsonSpecialMask, IsJsonSpecial);
#else
  return Find(from, end, IsJsonSpecial);
#endif
}

const char* FindNonJson(const char* from, const char* end) {
#ifdef __SSE2__
  return Find(from, end, NonJsonMask, IsNonJson);
#else
  return Find(from, end, IsNonJson);
#endif
}

}  // namespace apm::ipc
