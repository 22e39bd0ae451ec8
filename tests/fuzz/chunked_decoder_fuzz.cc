// Whatever the bytes, the decoder must not crash, and it must read the same
// body, trailers and end when the bytes come in pieces. What it accepts must
// be what it accepts when written again in one chunk. The first byte chooses
// the pieces.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/http1/chunked_decoder.h"
#include "tests/fuzz/pieces.h"

namespace {

using apm::http1::ChunkedDecoder;
using Event = ChunkedDecoder::Event;

struct Body {
  ChunkedDecoder decoder;
  std::string data;
  size_t consumed = 0;  // Up to the end of the body.
  Event last = Event::kNeedMore;

  void Feed(std::string_view input) {
    if (last == Event::kEnd || last == Event::kError) return;
    const size_t offered = input.size();
    while ((last = decoder.Next(input)) == Event::kData) {
      data += decoder.data();
    }
    consumed += offered - input.size();
  }
};

void CheckRoundTrip(const Body& body) {
  char size[20];
  std::snprintf(size, sizeof(size), "%zx\r\n", body.data.size());
  Body again;
  if (!body.data.empty()) again.Feed(size + body.data + "\r\n");
  again.Feed("0\r\n\r\n");
  if (again.last != Event::kEnd || again.data != body.data) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  Body whole;
  whole.Feed(input);
  Body cut;
  apm::fuzz::ForEachPiece(input, data[0],
                          [&](std::string_view piece) { cut.Feed(piece); });

  if (whole.last != cut.last || whole.data != cut.data) std::abort();
  if (whole.decoder.error().status != cut.decoder.error().status) std::abort();
  if (whole.decoder.trailers() != cut.decoder.trailers()) std::abort();
  if (whole.last != Event::kEnd) return 0;
  if (whole.consumed != cut.consumed) std::abort();
  CheckRoundTrip(whole);
  return 0;
}
