// Base64 of fixed-size values, as the opening handshake uses it (RFC 4648 4).

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace apm::websocket {

std::array<char, 28> EncodeBase64(const std::array<uint8_t, 20>& bytes);

// True if `text` is the one canonical encoding of 16 bytes: 24 characters, "=="
// at the end, no bits set behind the last byte (RFC 4648 3.5).
bool IsBase64Of16Bytes(std::string_view text);

}  // namespace apm::websocket
