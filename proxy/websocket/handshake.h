// The server's side of the opening handshake (RFC 6455 4.2).

#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/http1/request.h"

namespace apm::websocket {

// True if the request asks to become a WebSocket, well-formed or not. Others
// are plain HTTP: on an address that only speaks WebSocket they get 426.
bool IsUpgradeRequest(const http1::Request& request);

struct Handshake {
  // 101, or the status of the refusal: 400, or 426 for another version, with
  // `reason` a constant. http1::AppendErrorResponse writes it.
  int status = 101;
  std::string_view reason;
  std::array<char, 28> accept{};  // Sec-WebSocket-Accept.
  // The client's offers in its order of preference, views into the request.
  // Copy them: the head is gone when the worker chooses.
  std::vector<std::string_view> protocols;
};

// Judges an upgrade request. REQUIRES: IsUpgradeRequest(request).
// Extensions are ignored, which declines them (RFC 6455 9.1).
Handshake ReadHandshake(const http1::Request& request);

// Appends the 101 answer. `protocol` is the chosen sub-protocol, or empty for
// none; it must be one of the offers (RFC 6455 4.2.2 /subprotocol/).
void AppendSwitchingProtocols(const std::array<char, 28>& accept,
                              std::string_view protocol, std::string& out);

}  // namespace apm::websocket
