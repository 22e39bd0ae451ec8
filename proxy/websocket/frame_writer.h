// Writes server frames: never masked, never fragmented (RFC 6455 5.1).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/websocket/close_code.h"

namespace apm::websocket {

// Appends a frame's header only: the payload can follow from another buffer.
void AppendMessageHeader(bool is_text, uint64_t payload_bytes,
                         std::string& out);

// Appends one message. REQUIRES: valid UTF-8 if `is_text`.
void AppendMessage(bool is_text, std::string_view payload, std::string& out);

// Appends a ping or pong; only the first 125 bytes of `payload` are sent, the
// most a control frame holds (RFC 6455 5.5). A pong echoes its ping's payload.
void AppendPing(std::string_view payload, std::string& out);
void AppendPong(std::string_view payload, std::string& out);

// Appends a close frame. A code that may not be sent (kNoStatus, a worker's
// 1006 or 42) becomes an empty close, and `reason` is cut at the last whole
// character within 123 bytes, or left out if it is not UTF-8: a worker must not
// make us break the protocol.
void AppendClose(uint16_t code, std::string_view reason, std::string& out);

}  // namespace apm::websocket
