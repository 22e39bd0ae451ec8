// Whatever the bytes, the reader must not crash, and it must read the same
// requests and give the same verdict when the bytes come in pieces. The first
// byte chooses the pieces.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "tests/fuzz/pieces.h"
#include "tests/proxy/http1/message_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  apm::http1::MessageReader whole;
  whole.Feed(input);
  apm::http1::MessageReader cut;
  apm::fuzz::ForEachPiece(input, data[0],
                          [&](std::string_view piece) { cut.Feed(piece); });

  if (whole.messages() != cut.messages()) std::abort();
  if (whole.error().status != cut.error().status) std::abort();
  if (whole.error().reason != cut.error().reason) std::abort();
  if (whole.error().status == 0 && whole.incomplete() != cut.incomplete()) {
    std::abort();
  }
  return 0;
}
