// Reads a chunked request body (RFC 9112 7.1) from a byte stream that was cut
// at arbitrary places.
//
//   chunked-body := *( 1*16HEXDIG [ extensions ] CRLF data CRLF )
//                   1*16"0" [ extensions ] CRLF *( field-line CRLF ) CRLF
//
// Data is handed on as views into the input: nothing is copied but the line
// that a read cut in two. Extensions are bounded and ignored.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http1/request.h"

namespace apm::http1 {

struct ChunkedLimits {
  size_t chunk_extension_bytes = 256;
  size_t extension_bytes = size_t{8} << 10;  // Of one body.
  size_t trailer_bytes = size_t{8} << 10;    // With all line ends.
  size_t trailer_fields = 100;
};

// Owned by one connection; reads one body, then Reset().
//
//   for (;;) {
//     switch (decoder.Next(input)) {    // Takes bytes off the front.
//       case Event::kNeedMore: return;  // `input` is empty.
//       case Event::kData: Forward(decoder.data()); break;
//       case Event::kEnd: EndOfBody(); return;  // `input` is the next request.
//       case Event::kError: Answer(decoder.error()); Close(); return;
//     }
//   }
class ChunkedDecoder {
 public:
  enum class Event : uint8_t { kNeedMore, kData, kEnd, kError };

  explicit ChunkedDecoder(const ChunkedLimits& limits = ChunkedLimits());

  // Removes what it has read from the front of `input`. kEnd and kError
  // repeat, reading nothing, until Reset(). The data of all kData events
  // together does not depend on how the bytes were cut.
  Event Next(std::string_view& input);

  void Reset();

  // Valid after kData: a non-empty part of the `input` it was taken from.
  std::string_view data() const { return data_; }

  // Sum of the chunk sizes read so far, the one being received included, so
  // that a body over its limit is refused before it arrives.
  uint64_t announced_bytes() const { return announced_bytes_; }

  // Valid after kEnd. Names are lower case; those that would change framing,
  // routing or authentication after the fact are left out (RFC 9110 6.5.1).
  const std::vector<std::pair<std::string, std::string>>& trailers() const {
    return trailers_;
  }

  // Valid after kError.
  const ParseError& error() const { return error_; }

 private:
  enum class State : uint8_t {
    kSizeLine,
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
    kEnd,
    kError,
  };

  bool Fail(int status, std::string_view reason);
  bool TakeLine(std::string_view& input, size_t max_bytes);
  bool TakeSizeLine(std::string_view& input);
  bool TakeData(std::string_view& input);
  bool TakeByte(std::string_view& input, char expected, State next);
  bool TakeTrailerLine(std::string_view& input);
  bool ReadSizeLine(std::string_view line);
  bool ReadExtensions(std::string_view extensions);
  bool ReadTrailer(std::span<char> line);

  const ChunkedLimits limits_;
  State state_ = State::kSizeLine;
  uint64_t remaining_ = 0;  // Of the chunk being received.
  uint64_t announced_bytes_ = 0;
  size_t extension_bytes_ = 0;
  size_t trailer_bytes_ = 0;
  size_t trailer_count_ = 0;
  std::string line_;  // The line being received; bounded by its limit.
  std::string_view data_;
  std::vector<std::pair<std::string, std::string>> trailers_;
  ParseError error_;
};

}  // namespace apm::http1
