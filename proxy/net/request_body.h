// Takes the body of one request out of the input, in the pieces in which it
// travels to the worker.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "proxy/http1/request.h"
#include "proxy/net/input_kit.h"

namespace apm::net {

// Owned by an exchange.
class RequestBody {
 public:
  enum class Result : uint8_t {
    kNeedMore,
    kPiece,
    kTooLarge,  // Over `max_bytes`.
    kError,     // See error().
  };
  struct Piece {
    std::string_view bytes;  // In the kit, until the next read.
    bool last = false;
  };

  // A body that is short and of known length is one piece, whole; another is
  // given out as it comes.
  void Begin(const http1::Request& request, uint64_t max_bytes);

  Result Next(InputKit& kit, Piece& piece);

  bool done() const { return done_; }
  // Known to be no more than this; UINT64_MAX where the length is unknown.
  uint64_t left_bytes() const;
  uint64_t received_bytes() const { return received_; }
  const http1::ParseError& error() const { return error_; }

 private:
  Result NextOfLength(InputKit& kit, Piece& piece);
  Result NextOfChunks(InputKit& kit, Piece& piece);

  http1::BodyKind kind_ = http1::BodyKind::kNone;
  bool done_ = true;
  bool whole_ = false;
  uint64_t max_bytes_ = 0;
  uint64_t remaining_ = 0;  // For kLength.
  uint64_t received_ = 0;
  http1::ParseError error_;
};

}  // namespace apm::net
