// Why a WebSocket ends (RFC 6455 7.4).

#pragma once

#include <cstdint>

namespace apm::websocket {

enum class CloseCode : uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,  // We stop for good.
  kProtocolError = 1002,
  kNoStatus = 1005,     // Received a close frame without code; never sent.
  kAbnormal = 1006,     // The connection broke; never sent.
  kInvalidData = 1007,  // Text that is not UTF-8.
  kPolicyViolation = 1008,
  kMessageTooBig = 1009,
  kInternalError = 1011,
  kServiceRestart = 1012,
  kTryAgainLater = 1013,
};

// True if a peer may send `code` in a close frame: the defined ones that are
// meant for the wire, and the ranges for libraries and applications
// (RFC 6455 7.4.2 and the IANA registry).
bool IsSendableCloseCode(uint16_t code);

}  // namespace apm::websocket
