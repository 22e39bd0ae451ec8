#include "proxy/websocket/frame_writer.h"

#include <algorithm>

#include "proxy/websocket/utf8.h"

namespace apm::websocket {
namespace {

constexpr uint8_t kFinal = 0x80;
constexpr uint8_t kText = 1;
constexpr uint8_t kBinary = 2;
constexpr uint8_t kClose = 8;
constexpr uint8_t kPing = 9;
constexpr uint8_t kPong = 10;
constexpr size_t kMaxControlBytes = 125;  // RFC 6455 5.5.

void AppendBigEndian(uint64_t value, int bytes, std::string& out) {
  while (bytes-- > 0) out.push_back(static_cast<char>(value >> (8 * bytes)));
}

// The length in the fewest bytes, as it must be (RFC 6455 5.2).
void AppendHeader(uint8_t opcode, uint64_t payload_bytes, std::string& out) {
  out.push_back(static_cast<char>(kFinal | opcode));
  if (payload_bytes < 126) {
    AppendBigEndian(payload_bytes, 1, out);
  } else if (payload_bytes <= 0xffff) {
    out.push_back(126);
    AppendBigEndian(payload_bytes, 2, out);
  } else {
    out.push_back(127);
    AppendBigEndian(payload_bytes, 8, out);
  }
}

void AppendControl(uint8_t opcode, std::string_view payload, std::string& out) {
  payload = payload.substr(0, kMaxControlBytes);
  AppendHeader(opcode, payload.size(), out);
  out.append(payload);
}

// The longest prefix of `text` within `max_bytes` that ends with a whole
// character; empty if `text` is not UTF-8.
std::string_view CutAtCharacter(std::string_view text, size_t max_bytes) {
  Utf8Validator whole;
  if (!whole.Feed(text) || !whole.AtBoundary()) return {};
  size_t end = std::min(text.size(), max_bytes);
  while (end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

void AppendMessageHeader(bool is_text, uint64_t payload_bytes,
                         std::string& out) {
  AppendHeader(is_text ? kText : kBinary, payload_bytes, out);
}

void AppendMessage(bool is_text, std::string_view payload, std::string& out) {
  AppendMessageHeader(is_text, payload.size(), out);
  out.append(payload);
}

void AppendPing(std::string_view payload, std::string& out) {
  AppendControl(kPing, payload, out);
}

void AppendPong(std::string_view payload, std::string& out) {
  AppendControl(kPong, payload, out);
}

void AppendClose(uint16_t code, std::string_view reason, std::string& out) {
  if (!IsSendableCloseCode(code)) {
    AppendHeader(kClose, 0, out);
    return;
  }
  reason = CutAtCharacter(reason, kMaxControlBytes - sizeof(code));
  AppendHeader(kClose, sizeof(code) + reason.size(), out);
  AppendBigEndian(code, sizeof(code), out);
  out.append(reason);
}

}  // namespace apm::websocket
