// Cuts fuzzer input into pieces: a parser must say the same however its bytes
// were cut.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace apm::fuzz {

// Calls `feed(piece)` for consecutive pieces of 1 to 32 bytes, chosen by
// `seed`.
template <typename Feed>
void ForEachPiece(std::string_view bytes, uint32_t seed, Feed feed) {
  while (!bytes.empty()) {
    seed = seed * 1664525 + 1013904223;  // Numerical Recipes' generator.
    const size_t size = std::min<size_t>(1 + (seed >> 27), bytes.size());
    feed(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
}

}  // namespace apm::fuzz
