// SHA-1 (RFC 3174), which the opening handshake prescribes.
//
// It proves there that the server has read the key, and protects nothing, so
// the known collisions do not matter. Do not use it for anything else. Ours,
// because linking libcrypto for one fixed-size hash would bring its start-up
// and its configuration files into a sandboxed program.

#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace apm::websocket {

std::array<uint8_t, 20> Sha1(std::string_view message);

}  // namespace apm::websocket
