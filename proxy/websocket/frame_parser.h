// Reads client frames from a byte stream that was cut at arbitrary places, and
// hands on whole messages (RFC 6455 5).
//
//    0               1               2               3
//   +-+-+-+-+-------+-+-------------+-------------------------------+
//   |F|R|R|R| opcode|M| Payload len |  extended length: 2 or 8 bytes |
//   +-+-+-+-+-------+-+-------------+-------------------------------+
//   |                 masking key (M = 1: always, from a client)     |
//   +---------------------------------------------------------------+
//
// A header is judged before its payload arrives, text as it arrives.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include <absl/time/time.h>

#include "proxy/websocket/close_code.h"
#include "proxy/websocket/mask.h"
#include "proxy/websocket/utf8.h"

namespace apm::websocket {

struct FrameLimits {
  size_t message_bytes = size_t{1} << 20;  // Else 1009.
  size_t fragments = 1024;                 // Frames of one message. Else 1008.
  int control_frames_per_second = 10;      // As many at once. Else 1008.
};

// Owned by one connection.
//
//   for (;;) {
//     switch (parser.Next(input, now)) {   // Takes bytes off the front.
//       case Event::kNeedMore: return;     // `input` is empty.
//       case Event::kMessage: Deliver(parser.is_text(), parser.payload());
//       break; case Event::kPing: Send(pong with parser.payload()); break; case
//       Event::kPong: Alive(); break; case Event::kClose: Send(close with
//       parser.close_code()); return; case Event::kError: Send(close with
//       parser.close_code()); return;
//     }
//   }
//
// Thread-compatible.
class FrameParser {
 public:
  enum class Event : uint8_t {
    kNeedMore,
    kMessage,
    kPing,
    kPong,
    kClose,
    kError
  };

  explicit FrameParser(const FrameLimits& limits = FrameLimits());

  // Removes what it has read from the front of `input`, unmasking in place.
  // `now` is monotonic. After kClose and kError nothing more is read: both
  // repeat (RFC 6455 5.5.1: what follows a close frame has no meaning).
  Event Next(std::span<char>& input, absl::Duration now);

  // Valid after kMessage.
  bool is_text() const { return message_is_text_; }

  // The message, the ping's or pong's data, or the reason of a close. A view
  // into `input` or into this object: valid until the next call.
  std::string_view payload() const { return payload_; }

  // After kClose the client's code, kNoStatus if it gave none. After kError
  // the code to fail the connection with.
  CloseCode close_code() const { return close_code_; }

  // Memory held for the message being received; little between messages.
  size_t buffered_bytes() const { return message_.capacity(); }

  // After kError: what was wrong, a constant.
  std::string_view error() const { return error_; }

 private:
  enum class State : uint8_t { kHeader, kPayload, kClosed, kFailed };
  enum class Opcode : uint8_t {
    kContinuation = 0,
    kText = 1,
    kBinary = 2,
    kClose = 8,
    kPing = 9,
    kPong = 10,
  };

  bool Fail(CloseCode code, std::string_view reason);
  void ReleaseMessage();
  bool BeginFrame(std::span<char>& input, absl::Duration now);
  size_t HeaderBytes() const;
  bool TakeHeader(std::span<char>& input);
  bool ReadHeader();
  bool ReadLength();
  bool AcceptControl(absl::Duration now);
  bool AcceptData();
  bool TakePayload(std::span<char>& input);
  bool IsControl() const { return opcode_ >= Opcode::kClose; }
  Event EndFrame();
  Event EndMessage();
  Event EndClose();

  const FrameLimits limits_;
  State state_ = State::kHeader;

  // The frame being received.
  std::array<uint8_t, 14> header_;
  size_t header_size_ = 0;
  Opcode opcode_ = Opcode::kContinuation;
  bool final_ = false;
  uint64_t remaining_ = 0;         // Payload bytes still to come.
  MaskingKey key_;                 // For the next byte of the payload.
  std::array<char, 125> control_;  // A control frame that was cut in two.
  size_t control_size_ = 0;

  // The message being received. Control frames may come between its fragments.
  bool in_message_ = false;
  bool message_is_text_ = false;
  bool message_handed_out_ = false;
  size_t fragments_ = 0;
  std::string message_;  // Grows with what arrives, not with what is announced.
  Utf8Validator utf8_;   // At a boundary between messages.

  absl::Duration control_due_ = -absl::InfiniteDuration();
  std::string_view payload_;
  CloseCode close_code_ = CloseCode::kNoStatus;
  std::string_view error_;
};

}  // namespace apm::websocket
