#include "proxy/websocket/base64.h"

#include <cstddef>

namespace apm::websocket {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t kKeyDigits = 22;  // 16 bytes: 21 of 6 bits, one of 2.

}  // namespace

std::array<char, 28> EncodeBase64(const std::array<uint8_t, 20>& bytes) {
  std::array<char, 28> text;
  text.back() = '=';  // 20 bytes are 26 characters and 4 bits.
  size_t at = 0;
  uint32_t bits = 0;
  int count = 0;
  for (uint8_t byte : bytes) {
    bits = bits << 8 | byte;
    for (count += 8; count >= 6; count -= 6) {
      text[at++] = kAlphabet[bits >> (count - 6) & 0x3f];
    }
  }
  text[at] = kAlphabet[bits << (6 - count) & 0x3f];
  return text;
}

bool IsBase64Of16Bytes(std::string_view text) {
  if (text.size() != kKeyDigits + 2 || !text.ends_with("==")) return false;
  for (char c : text.substr(0, kKeyDigits)) {
    if (kAlphabet.find(c) == std::string_view::npos) return false;
  }
  return (kAlphabet.find(text[kKeyDigits - 1]) & 0xf) == 0;
}

}  // namespace apm::websocket
