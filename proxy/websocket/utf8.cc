// Between two bytes the state is 0 at the end of a character, else how many
// continuation bytes are still to come and between which bounds the next one
// must lie. Only the second byte of a character has narrower bounds than
// 80..BF: that is where overlong forms, surrogates and code points above
// U+10FFFF show (RFC 3629 4).

#include "proxy/websocket/utf8.h"

#include <cstddef>
#include <cstring>

namespace apm::websocket {
namespace {

constexpr uint32_t kInvalid = 0xffffffff;

constexpr uint32_t Expect(uint32_t bytes, uint32_t low, uint32_t high) {
  return bytes << 16 | low << 8 | high;
}

// The state behind the first byte of a character.
uint32_t Begin(uint8_t byte) {
  if (byte < 0x80) return 0;
  if (byte < 0xc2) return kInvalid;  // A continuation, or overlong.
  if (byte < 0xe0) return Expect(1, 0x80, 0xbf);
  if (byte == 0xe0) return Expect(2, 0xa0, 0xbf);  // Below is overlong.
  if (byte == 0xed) return Expect(2, 0x80, 0x9f);  // Above are surrogates.
  if (byte < 0xf0) return Expect(2, 0x80, 0xbf);
  if (byte == 0xf0) return Expect(3, 0x90, 0xbf);  // Below is overlong.
  if (byte < 0xf4) return Expect(3, 0x80, 0xbf);
  if (byte == 0xf4) return Expect(3, 0x80, 0x8f);  // Up to U+10FFFF.
  return kInvalid;
}

uint32_t Continue(uint32_t state, uint8_t byte) {
  const uint32_t low = state >> 8 & 0xff;
  const uint32_t high = state & 0xff;
  if (byte < low || byte > high) return kInvalid;
  const uint32_t left = (state >> 16) - 1;
  return left == 0 ? 0 : Expect(left, 0x80, 0xbf);
}

// How many bytes at the front are ASCII, in whole words.
size_t AsciiPrefix(std::string_view bytes) {
  size_t at = 0;
  for (; at + sizeof(uint64_t) <= bytes.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    if ((word & 0x8080808080808080) != 0) break;
  }
  return at;
}

}  // namespace

bool Utf8Validator::Feed(std::string_view bytes) {
  if (state_ == kInvalid) return false;
  size_t at = 0;
  while (at < bytes.size()) {
    if (state_ == 0) {
      at += AsciiPrefix(bytes.substr(at));
      if (at == bytes.size()) break;
    }
    const auto byte = static_cast<uint8_t>(bytes[at++]);
    state_ = state_ == 0 ? Begin(byte) : Continue(state_, byte);
    if (state_ == kInvalid) return false;
  }
  return true;
}

}  // namespace apm::websocket
