// What a connection needs while it reads a request: a buffer and the parsers
// that look into it. Borrowed from a pool and given back between requests, so
// that ten thousand idle connections hold none of it, and busy ones share few
// and warm ones.

#pragma once

#include <string.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http1/chunked_decoder.h"
#include "proxy/http1/request_parser.h"

namespace apm::net {

// Also the largest body that travels as one frame: it fits in whole.
inline constexpr size_t kInputBytes = size_t{64} << 10;

struct InputKit {
  std::span<char> unread() { return {bytes.data() + begin, end - begin}; }
  bool empty() const { return begin == end; }

  // Room behind the unread bytes; makes some if they may move.
  std::span<char> Room(bool may_move) {
    if (begin == end && may_move) begin = end = 0;
    if (end == bytes.size() && begin > 0 && may_move) {
      memmove(bytes.data(), bytes.data() + begin, end - begin);
      end -= begin;
      begin = 0;
    }
    return {bytes.data() + end, bytes.size() - end};
  }

  void Consume(size_t count) { begin += count; }

  std::array<char, kInputBytes> bytes;
  size_t begin = 0;
  size_t end = 0;
  http1::RequestParser parser;
  http1::ChunkedDecoder chunked;
};

// Owned by the shard. Thread-compatible.
class InputKitPool {
 public:
  std::unique_ptr<InputKit> Take() {
    if (spare_.empty()) return std::unique_ptr<InputKit>(new InputKit);
    std::unique_ptr<InputKit> kit = std::move(spare_.back());
    spare_.pop_back();
    return kit;
  }

  void GiveBack(std::unique_ptr<InputKit> kit) {
    if (spare_.size() >= kMaxSpare) return;
    kit->begin = kit->end = 0;
    kit->parser.Reset();
    kit->chunked.Reset();
    spare_.push_back(std::move(kit));
  }

 private:
  static constexpr size_t kMaxSpare = 64;
  std::vector<std::unique_ptr<InputKit>> spare_;
};

}  // namespace apm::net
