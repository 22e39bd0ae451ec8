// How the input is cut must not change what is found in it, and nothing may
// get lost: frames and stray bytes put together again are the input.
//
// The first byte of the input says how to cut the rest.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "ipc/frame.h"
#include "ipc/frame_decoder.h"
#include "tests/ipc/wire.h"

namespace apm::ipc {
namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// What a decoder found, and the same bytes encoded again.
struct Outcome {
  testing::Transcript transcript;
  std::string wire;
};

void Drain(FrameDecoder& decoder, Outcome& outcome) {
  while (const std::optional<DecodedItem> item = decoder.Next()) {
    outcome.transcript.Add(*item);
    if (const auto* stray = std::get_if<StrayBytes>(&*item)) {
      Check(!stray->bytes.empty());
      outcome.wire += stray->bytes;
    } else {
      const auto& frame = std::get<WorkerFrame>(*item);
      outcome.wire += testing::FromWorker(frame.head_json, frame.payload);
    }
  }
}

void Feed(FrameDecoder& decoder, std::string_view bytes, Outcome& outcome) {
  const std::string read(bytes);  // Freed: no view may outlive it.
  decoder.Feed(read);
  Drain(decoder, outcome);
}

void Decode(std::string_view input, size_t piece_bytes, Outcome& outcome) {
  FrameDecoder decoder;
  for (size_t i = 0; i < input.size(); i += piece_bytes) {
    Feed(decoder, input.substr(i, piece_bytes), outcome);
  }
  const bool waiting = decoder.Waiting();
  Check(waiting == (outcome.wire.size() < input.size()));
  decoder.Finish();
  Drain(decoder, outcome);
  Check(!decoder.Waiting());
}

}  // namespace
}  // namespace apm::ipc

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace apm::ipc;
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1),
                               size - 1);
  Outcome whole;
  Decode(input, input.size() + 1, whole);
  Check(whole.wire == input);

  Outcome cut;
  Decode(input, size_t{1} + data[0] % 64, cut);
  Check(cut.transcript.lines() == whole.transcript.lines());
  return 0;
}
