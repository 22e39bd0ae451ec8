// The payload is unmasked where it lies. A message that came in one piece is
// handed on as a view of the input; only one that was fragmented, or cut by a
// read, is put together in a buffer of its own, which is given back once it
// has been large: ten thousand idle connections must not keep a megabyte each.

#include "proxy/websocket/frame_parser.h"

#include <algorithm>
#include <cstring>

namespace apm::websocket {
namespace {

constexpr uint8_t kFinalBit = 0x80;
constexpr uint8_t kReservedBits = 0x70;
constexpr uint8_t kOpcodeBits = 0x0f;
constexpr uint8_t kMaskBit = 0x80;
constexpr uint8_t kLengthBits = 0x7f;
constexpr uint8_t kLength16 = 126;  // The length is in the next two bytes.
constexpr uint8_t kLength64 = 127;  // The length is in the next eight bytes.
constexpr size_t kKeptMessageBytes = size_t{4} << 10;

}  // namespace

FrameParser::FrameParser(const FrameLimits& limits) : limits_(limits) {}

FrameParser::Event FrameParser::Next(std::span<char>& input,
                                     absl::Duration now) {
  ReleaseMessage();
  while (BeginFrame(input, now) && TakePayload(input)) {
    const Event event = EndFrame();
    if (event != Event::kNeedMore) return event;
  }
  switch (state_) {
    case State::kHeader:
    case State::kPayload:
      return Event::kNeedMore;
    case State::kClosed:
      return Event::kClose;
    case State::kFailed:
      return Event::kError;
  }
  return Event::kError;
}

void FrameParser::ReleaseMessage() {
  payload_ = {};
  if (!message_handed_out_) return;
  message_handed_out_ = false;
  message_.clear();
  if (message_.capacity() > kKeptMessageBytes) std::string().swap(message_);
}

// True once the header has come and is good: its payload is next.
bool FrameParser::BeginFrame(std::span<char>& input, absl::Duration now) {
  if (state_ != State::kHeader) return state_ == State::kPayload;
  if (!TakeHeader(input) || !ReadHeader()) return false;
  if (!(IsControl() ? AcceptControl(now) : AcceptData())) return false;
  state_ = State::kPayload;
  return true;
}

bool FrameParser::Fail(CloseCode code, std::string_view reason) {
  state_ = State::kFailed;
  close_code_ = code;
  error_ = reason;
  return false;
}

// As far as the bytes received tell.
size_t FrameParser::HeaderBytes() const {
  if (header_size_ < 2) return 2;
  size_t bytes = (header_[1] & kMaskBit) != 0 ? 2 + key_.size() : 2;
  const uint8_t length = header_[1] & kLengthBits;
  if (length == kLength16) bytes += 2;
  if (length == kLength64) bytes += 8;
  return bytes;
}

bool FrameParser::TakeHeader(std::span<char>& input) {
  while (header_size_ < HeaderBytes()) {
    if (input.empty()) return false;
    header_[header_size_++] = static_cast<uint8_t>(input.front());
    input = input.subspan(1);
  }
  return true;
}

bool FrameParser::ReadHeader() {
  final_ = (header_[0] & kFinalBit) != 0;
  opcode_ = static_cast<Opcode>(header_[0] & kOpcodeBits);
  // They belong to extensions, and none was agreed on (RFC 6455 5.2).
  if ((header_[0] & kReservedBits) != 0) {
    return Fail(CloseCode::kProtocolError, "a reserved bit is set");
  }
  if (opcode_ > Opcode::kPong ||
      (opcode_ > Opcode::kBinary && opcode_ < Opcode::kClose)) {
    return Fail(CloseCode::kProtocolError, "the opcode is unknown");
  }
  if ((header_[1] & kMaskBit) == 0) {
    return Fail(CloseCode::kProtocolError, "a client frame is not masked");
  }
  return ReadLength();
}

// In the fewest bytes, and below 2^63 (RFC 6455 5.2).
bool FrameParser::ReadLength() {
  const size_t key_begin = header_size_ - key_.size();
  std::copy_n(header_.begin() + key_begin, key_.size(), key_.begin());
  const uint8_t length = header_[1] & kLengthBits;
  if (length < kLength16) {
    remaining_ = length;
    return true;
  }
  remaining_ = 0;
  for (size_t i = 2; i < key_begin; ++i)
    remaining_ = remaining_ << 8 | header_[i];
  const uint64_t least = length == kLength16 ? kLength16 : 0x10000;
  if (remaining_ < least || remaining_ >> 63 != 0) {
    return Fail(CloseCode::kProtocolError, "the frame length is not valid");
  }
  return true;
}

// Ping and pong cost us a frame each and the worker nothing, so no worker ever
// pushes back: GCRA with one emission interval a frame and a burst of one
// second's worth. Close needs no limit, it comes once.
bool FrameParser::AcceptControl(absl::Duration now) {
  if (!final_ || remaining_ > control_.size()) {
    return Fail(CloseCode::kProtocolError,
                "a control frame is fragmented or too large");
  }
  if (opcode_ == Opcode::kClose) return true;
  const absl::Duration interval =
      absl::Seconds(1) / limits_.control_frames_per_second;
  const absl::Duration due = std::max(control_due_, now);
  if (due - now > interval * (limits_.control_frames_per_second - 1)) {
    return Fail(CloseCode::kPolicyViolation, "too many control frames");
  }
  control_due_ = due + interval;
  return true;
}

bool FrameParser::AcceptData() {
  if (in_message_ != (opcode_ == Opcode::kContinuation)) {
    return Fail(CloseCode::kProtocolError,
                in_message_ ? "a message begins within another"
                            : "a continuation of no message");
  }
  if (!in_message_) {
    in_message_ = true;
    message_is_text_ = opcode_ == Opcode::kText;
    fragments_ = 0;
  }
  if (++fragments_ > limits_.fragments) {
    return Fail(CloseCode::kPolicyViolation, "too many fragments");
  }
  if (remaining_ > limits_.message_bytes - message_.size()) {
    return Fail(CloseCode::kMessageTooBig, "the message is too large");
  }
  return true;
}

// True when the payload is complete: payload_ is then all of it, and of the
// message as far as it has come.
bool FrameParser::TakePayload(std::span<char>& input) {
  const std::span<char> part =
      input.first(std::min<uint64_t>(remaining_, input.size()));
  input = input.subspan(part.size());
  Unmask(part, key_);
  remaining_ -= part.size();
  const bool complete = remaining_ == 0;
  const std::string_view bytes(part.data(), part.size());
  if (IsControl()) {
    if (complete && control_size_ == 0) {
      payload_ = bytes;
    } else {
      std::copy(bytes.begin(), bytes.end(), control_.begin() + control_size_);
      control_size_ += bytes.size();
      payload_ = {control_.data(), control_size_};
    }
    return complete;
  }
  if (message_is_text_ && !utf8_.Feed(bytes)) {
    return Fail(CloseCode::kInvalidData, "a text message is not UTF-8");
  }
  if (complete && final_ && message_.empty()) {
    payload_ = bytes;
  } else {
    message_.append(bytes);
    payload_ = message_;
  }
  return complete;
}

// kNeedMore: the frame is done, the message is not.
FrameParser::Event FrameParser::EndFrame() {
  state_ = State::kHeader;
  header_size_ = 0;
  control_size_ = 0;
  switch (opcode_) {
    case Opcode::kPing:
      return Event::kPing;
    case Opcode::kPong:
      return Event::kPong;
    case Opcode::kClose:
      return EndClose();
    case Opcode::kContinuation:
    case Opcode::kText:
    case Opcode::kBinary:
      return final_ ? EndMessage() : Event::kNeedMore;
  }
  return Event::kError;  // Not reached: ReadHeader knows these opcodes only.
}

FrameParser::Event FrameParser::EndMessage() {
  in_message_ = false;
  if (message_is_text_ && !utf8_.AtBoundary()) {
    Fail(CloseCode::kInvalidData, "a text message ends within a character");
    return Event::kError;
  }
  message_handed_out_ = true;
  return Event::kMessage;
}

// RFC 6455 5.5.1: nothing, or a code and a reason in UTF-8.
FrameParser::Event FrameParser::EndClose() {
  state_ = State::kClosed;
  close_code_ = CloseCode::kNoStatus;
  if (payload_.empty()) return Event::kClose;
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(payload_[i]); };
  const auto code =
      static_cast<uint16_t>(payload_.size() < 2 ? 0 : byte(0) << 8 | byte(1));
  if (!IsSendableCloseCode(code)) {
    Fail(CloseCode::kProtocolError, "the close code is not valid");
    return Event::kError;
  }
  payload_.remove_prefix(sizeof(code));
  Utf8Validator reason;
  if (!reason.Feed(payload_) || !reason.AtBoundary()) {
    Fail(CloseCode::kInvalidData, "the close reason is not UTF-8");
    return Event::kError;
  }
  close_code_ = static_cast<CloseCode>(code);
  return Event::kClose;
}

}  // namespace apm::websocket
