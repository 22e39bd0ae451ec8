#include "proxy/websocket/mask.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace apm::websocket {
namespace {

// One vector register; the compiler knows which.
using Block = uint32_t __attribute__((vector_size(16)));

}  // namespace

void Unmask(std::span<char> bytes, MaskingKey& key) {
  uint32_t word = 0;
  std::memcpy(&word, key.data(), sizeof(word));
  const Block mask = {word, word, word, word};
  size_t at = 0;
  for (; at + sizeof(Block) <= bytes.size(); at += sizeof(Block)) {
    Block block;
    std::memcpy(&block, bytes.data() + at, sizeof(block));
    block ^= mask;
    std::memcpy(bytes.data() + at, &block, sizeof(block));
  }
  // A block holds the key four times, so the key still fits here.
  const std::span<char> tail = bytes.subspan(at);
  for (size_t i = 0; i < tail.size(); ++i) {
    tail[i] = static_cast<char>(static_cast<uint8_t>(tail[i]) ^ key[i % 4]);
  }
  std::rotate(key.begin(), key.begin() + tail.size() % 4, key.end());
}

}  // namespace apm::websocket
