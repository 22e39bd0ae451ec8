// Whatever the bytes, the parser must not crash, and it must read the same
// events when the bytes come in pieces. What it hands on as text must be
// UTF-8, and within its limit. The first byte chooses the pieces.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "proxy/websocket/frame_parser.h"
#include "proxy/websocket/utf8.h"
#include "tests/fuzz/pieces.h"

namespace {

using apm::websocket::CloseCode;
using apm::websocket::FrameParser;
using apm::websocket::Utf8Validator;
using Event = FrameParser::Event;

constexpr size_t kMessageBytes = 1000;

struct Reading {
  Event event;
  bool is_text;
  CloseCode code;
  std::string payload;

  friend bool operator==(const Reading&, const Reading&) = default;
};

class Connection {
 public:
  void Feed(std::string_view bytes) {
    std::vector<char> copy(bytes.begin(), bytes.end());
    std::span<char> input(copy);
    while (!ended_) {
      const Event event = parser_.Next(input, absl::ZeroDuration());
      if (event == Event::kNeedMore) {
        if (!input.empty()) std::abort();
        return;
      }
      ended_ = event == Event::kClose || event == Event::kError;
      Record(event);
    }
  }

  const std::vector<Reading>& readings() const { return readings_; }

 private:
  void Record(Event event) {
    const bool is_message = event == Event::kMessage;
    const bool is_text = is_message && parser_.is_text();
    readings_.push_back(
        {event, is_text, ended_ ? parser_.close_code() : CloseCode::kNoStatus,
         event == Event::kError ? "" : std::string(parser_.payload())});
    if (is_message && parser_.payload().size() > kMessageBytes) std::abort();
    if (!is_text) return;
    Utf8Validator validator;
    if (!validator.Feed(parser_.payload()) || !validator.AtBoundary()) {
      std::abort();
    }
  }

  FrameParser parser_{{.message_bytes = kMessageBytes, .fragments = 5}};
  bool ended_ = false;
  std::vector<Reading> readings_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1,
                               size - 1);
  Connection whole;
  whole.Feed(input);
  Connection cut;
  apm::fuzz::ForEachPiece(input, data[0],
                          [&](std::string_view piece) { cut.Feed(piece); });
  if (whole.readings() != cut.readings()) std::abort();
  return 0;
}
