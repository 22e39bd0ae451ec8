#include "proxy/net/request_body.h"

#include <string.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string_view>

namespace apm::net {

void RequestBody::Begin(const http1::Request& request, uint64_t max_bytes) {
  kind_ = request.body;
  max_bytes_ = max_bytes;
  received_ = 0;
  remaining_ = kind_ == http1::BodyKind::kLength ? request.content_length : 0;
  whole_ = kind_ == http1::BodyKind::kLength && remaining_ <= kInputBytes;
  done_ = kind_ == http1::BodyKind::kNone ||
          (kind_ == http1::BodyKind::kLength && remaining_ == 0);
}

uint64_t RequestBody::left_bytes() const {
  if (done_) return 0;
  return kind_ == http1::BodyKind::kLength
             ? remaining_
             : std::numeric_limits<uint64_t>::max();
}

RequestBody::Result RequestBody::Next(InputKit& kit, Piece& piece) {
  if (done_) return Result::kNeedMore;
  return kind_ == http1::BodyKind::kLength ? NextOfLength(kit, piece)
                                           : NextOfChunks(kit, piece);
}

RequestBody::Result RequestBody::NextOfLength(InputKit& kit, Piece& piece) {
  if (remaining_ > max_bytes_) return Result::kTooLarge;
  const auto available =
      static_cast<size_t>(std::min<uint64_t>(kit.unread().size(), remaining_));
  if (available == 0 || (whole_ && available < remaining_)) {
    return Result::kNeedMore;
  }
  piece.bytes = {kit.unread().data(), available};
  kit.Consume(available);
  remaining_ -= available;
  received_ += available;
  done_ = piece.last = remaining_ == 0;
  return Result::kPiece;
}

// All chunks of one read are joined, in place, so that a client that sends
// them byte by byte does not cost a frame a byte.
RequestBody::Result RequestBody::NextOfChunks(InputKit& kit, Piece& piece) {
  char* const joined = kit.unread().data();
  size_t joined_bytes = 0;
  std::string_view input(joined, kit.unread().size());
  for (;;) {
    const auto event = kit.chunked.Next(input);
    if (kit.chunked.announced_bytes() > max_bytes_) return Result::kTooLarge;
    if (event == http1::ChunkedDecoder::Event::kData) {
      const std::string_view data = kit.chunked.data();
      memmove(joined + joined_bytes, data.data(), data.size());
      joined_bytes += data.size();
      continue;
    }
    if (event == http1::ChunkedDecoder::Event::kError) {
      error_ = kit.chunked.error();
      return Result::kError;
    }
    done_ = piece.last = event == http1::ChunkedDecoder::Event::kEnd;
    break;
  }
  if (done_) kit.chunked.Reset();  // A pipelined body may come next.
  kit.Consume(kit.unread().size() - input.size());
  received_ += joined_bytes;
  piece.bytes = {joined, joined_bytes};
  return joined_bytes == 0 && !done_ ? Result::kNeedMore : Result::kPiece;
}

}  // namespace apm::net
