// The answers the proxy gives itself: bad requests, limits, no worker.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "proxy/http1/response_writer.h"

namespace apm::http1 {

struct ErrorResponse {
  int status = 500;
  // One short sentence for the person at the other end, a constant: never the
  // peer's bytes, never the name of something inside. Empty: a default one.
  std::string_view detail;
  std::optional<int> retry_after_seconds;  // For 429 and 503.
};

// Appends head and text body ("400 Bad Request: two content-length fields").
// Adds what its status requires: Allow for 405 (RFC 9110 15.5.6), Upgrade and
// Sec-WebSocket-Version for 426 (15.5.22, RFC 6455 4.4), Cache-Control:
// no-store. Returns whether the connection may live: `exchange.keep_alive`,
// except after 400, 405, 408, 413, 414, 431, 501 and 505, where the next
// message cannot be found.
bool AppendErrorResponse(const Exchange& exchange, const ErrorResponse& error,
                         std::string_view date_line, std::string& out);

}  // namespace apm::http1
