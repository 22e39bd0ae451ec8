// Client frames are XORed with a four-byte key (RFC 6455 5.3).

#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace apm::websocket {

using MaskingKey = std::array<uint8_t, 4>;

// Unmasks `bytes` in place and turns `key`, so that it fits the byte that
// follows: a payload may be unmasked in pieces.
void Unmask(std::span<char> bytes, MaskingKey& key);

}  // namespace apm::websocket
